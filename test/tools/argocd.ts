/** Argo CD on the place: repo server and application controller as programs; no UI and none of its own server. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureTool } from '../cluster/build/binaries.ts';
import { type Daemon, startDaemon } from '../cluster/run/folder.ts';
import { freePorts } from '../cluster/run/ports.ts';
import { waitFor } from '../cluster/run/wait.ts';
import type { ToolPlace } from './place.ts';
import { ensureRedis } from './redis.ts';
import { must } from './terminal.ts';

export interface ArgoCD {
  stop(): Promise<void>;
}

/** Starts it; ready when it has reconciled nothing yet but answers. Throws with the log of what did not start. */
export async function startArgoCD(place: ToolPlace): Promise<ArgoCD> {
  const [folder, redis] = [await ensureTool('argocd'), await ensureRedis()];
  const daemons: Daemon[] = [];
  const start = async (name: string, command: string[], env: Record<string, string> = {}) => {
    const daemon = await startDaemon(place.plane.dir, name, command, { ...place.plane.env, ...env });
    daemons.push(daemon);
    return daemon;
  };
  const stop = async () => void (await Promise.all(daemons.map((daemon) => daemon.end())));
  try {
    await installKinds(place, join(folder, 'argocd-crds'));
    const ports = await freePorts(4);
    const [store, repo, repoMetrics, metrics] = ports.map(String) as [string, string, string, string];
    // With a title of its own it would not be known again as ours, and left running after a crash.
    const quiet = ['--save', '', '--appendonly', 'no', '--set-proc-title', 'no'];
    await start('redis', [redis.command, '--port', store, '--bind', '127.0.0.1', ...quiet], redis.env);
    const own = {
      ARGOCD_FAKE_IN_CLUSTER: 'true',
      ARGOCD_GPG_ENABLED: 'false',
      ARGOCD_SYNC_WAVE_DELAY: '0',
      TMPDIR: place.folder,
    };
    const program = (name: string, args: string[]) => start(name, [join(folder, name), ...args], own);
    const reach = ['--redis', `127.0.0.1:${store}`];
    const where = ['--disable-tls', '--address', '127.0.0.1', '--port', repo, '--metrics-address', '127.0.0.1'];
    await program('argocd-repo-server', [
      ...where,
      '--metrics-port',
      repoMetrics,
      ...reach,
      '--revision-cache-expiration',
      '1s',
    ]);
    const pace = ['--app-resync', '3', '--app-resync-jitter', '0', '--self-heal-timeout-seconds', '1'];
    const by = ['--namespace', 'argocd', '--kubeconfig', place.plane.kubeconfig, '--metrics-port', metrics];
    const from = ['--repo-server', `127.0.0.1:${repo}`, '--repo-server-plaintext', ...reach];
    await program('argocd-application-controller', [...by, ...from, ...pace]);
    await waitFor('Argo CD', 60_000, async () => {
      for (const daemon of daemons) await daemon.check();
      return (await fetch(`http://127.0.0.1:${metrics}/healthz`)).ok;
    });
    return { stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function installKinds({ kubectl }: ToolPlace, folder: string): Promise<void> {
  const kinds = (await readdir(folder)).filter((name) => name.endsWith('-crd.yaml'));
  const files = kinds.flatMap((name) => ['-f', join(folder, name)]);
  must(await kubectl(['apply', '--server-side', ...files]));
  await waitFor('the kinds of Argo CD', 30_000, async () => {
    const listed = await kubectl(['get', 'applications.argoproj.io,appprojects.argoproj.io', '-A']);
    return listed.code === 0;
  });
  const of = { name: 'default', namespace: 'argocd' };
  const every = { namespace: '*', server: '*' };
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'argocd' } },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'argocd-cm', namespace: 'argocd', labels: { 'app.kubernetes.io/part-of': 'argocd' } },
    },
    {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'AppProject',
      metadata: of,
      spec: { sourceRepos: ['*'], destinations: [every], clusterResourceWhitelist: [{ group: '*', kind: '*' }] },
    },
  ];
  must(await kubectl(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) }));
}
