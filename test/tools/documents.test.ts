/**
 * The commands of the documents, typed as they stand there, in a control plane of their own: an Airflow release comes, is
 * downgraded and held, downdraft is installed, asked, taken out of the way and uninstalled. What is not typed, and why:
 * test/house/commandtable.ts.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { apps, core, mergePatch } from '../../src/cluster/client/paths.ts';
import { watch } from '../../src/cluster/client/watch.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { type ControlPlane, startControlPlane } from '../cluster/plane/controlplane.ts';
import { freePorts } from '../cluster/run/ports.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { blocksOf, type Command, commandsOf, documents } from '../house/commands.ts';
import { commandsNotTyped } from '../house/commandtable.ts';
import { installApis } from '../loop/backupapis.ts';
import { must, terminal } from './terminal.ts';

let plane: ControlPlane;
let client: Client;
let folder: string;
const ending = new AbortController();

/** What stands for a person's own words. */
const placeholders: [RegExp, string][] = [
  [/\bNAME\b/g, 'af-d9fb6d'],
  [/\bGROUP\b/g, 'operators'],
];

/** Not typed yet. */
const commands = new Set(
  documents()
    .flatMap(commandsOf)
    .filter(({ text }) => !(text in commandsNotTyped)),
);

beforeAll(async () => {
  plane = await startControlPlane({ purpose: 'tools: documents' });
  client = connect({ kubeconfig: plane.kubeconfig });
  folder = await mkdtemp(join(tmpdir(), 'downdraft-documents-'));
  await cp('manifests', join(folder, 'manifests'), { recursive: true });
  playKubelet();
}, 180_000);

afterAll(async () => {
  ending.abort();
  client?.close();
  await plane?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
}, 60_000);

/** The pods of Jobs end well, those of downdraft are Ready. */
function playKubelet(): void {
  const begun = new Set<string>();
  const onChange = ({ type, object }: { type: string; object: PodObject }) => {
    const { name, namespace = '', uid = '', ownerReferences = [] } = object.metadata;
    const job = ownerReferences.some(({ kind }) => kind === 'Job');
    if (type === 'DELETED' || begun.has(uid) || !(job || namespace === 'downdraft')) return;
    begun.add(uid);
    const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    const body = { status: job ? { phase: 'Succeeded' } : ready };
    const path = core(namespace, 'pods', name, 'status');
    // One that is gone by then needs none.
    client.request('PATCH', path, { body, contentType: mergePatch }).catch(() => begun.delete(uid));
  };
  void watch<PodObject>(client, '/api/v1/pods', { onChange, signal: ending.signal });
}

/** Those that have not been typed yet and say this, from one document or from all. */
function take(pattern: RegExp, file = ''): Command[] {
  const taken = [...commands].filter((command) => command.file.endsWith(file) && pattern.test(command.text));
  if (taken.length === 0) throw new Error(`no document has such a command: ${pattern} ${file}`);
  return taken;
}

const fill = (text: string) => placeholders.reduce((filled, [word, value]) => filled.replaceAll(word, value), text);

/** Types commands one after the other as a shell takes them, and answers what the last one printed. */
async function type(typed: Command[]): Promise<string> {
  let printed = '';
  for (const command of typed) {
    const at = `${command.file}:${command.line}`;
    const text = fill(command.text);
    const said = / -w$/.test(text) ? await firstLines(text) : await shell(text);
    printed = must({ ...said, stderr: `${said.stderr}${said.code ? `\n${at}: ${text}` : ''}` });
    commands.delete(command);
  }
  return printed;
}

/** Without what a machine's own bashrc does: behind a socket, as here, bash takes itself for a remote shell and reads it. */
const shell = (text: string, input = '') =>
  terminal(plane.env)('bash', ['--norc', '-ceuo', 'pipefail', text], { cwd: folder, input });

/** Of a command that follows something until it is interrupted: what there is already. */
async function firstLines(text: string) {
  const child = spawn('bash', ['--norc', '-c', `exec ${text}`], { env: plane.env, cwd: folder });
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (more) => (stderr += more));
  child.stdout.setEncoding('utf8').on('data', (more) => {
    stdout += more;
    if (stdout.split('\n').length > 2) child.kill();
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code: child.killed ? 0 : (code ?? 1), stdout, stderr, seconds: 0 };
}

const kubectl = async (...args: string[]) => must(await terminal(plane.env)('kubectl', args));
const apply = async (...items: object[]) =>
  must(await shell('kubectl apply -f -', JSON.stringify({ apiVersion: 'v1', kind: 'List', items })));

const imageOfScheduler = () =>
  kubectl('-n', 'air', 'get', 'deployment/af-scheduler', '-o', 'jsonpath={.spec.template.spec.containers[0].image}');

it('the example release comes and goes by helm, and without', async () => {
  await type(take(/^helm install/));
  expect(await imageOfScheduler()).toMatch(/:3\.2\.1$/);
  await type(take(/^helm upgrade/));
  expect(await imageOfScheduler()).toMatch(/:3\.1\.8$/);
  must(await shell('helm uninstall af --namespace air --wait && kubectl -n air delete jobs --all'));
  await type(take(/^helm template/));
  expect(await imageOfScheduler()).toMatch(/:3\./);
}, 180_000);

it('downdraft is installed from an overlay', async () => {
  await holdByHand();
  await type(take(/^mkdir overlay|^kubectl apply -k|rollout status/, 'README.md'));
  const images = ['-o', 'jsonpath={.spec.template.spec.containers[*].image}'];
  const image = await kubectl('-n', 'downdraft', 'get', 'deployment/downdraft', ...images);
  expect(image).toBe('registry.example/downdraft:0.1.0');
}, 120_000);

/** As the webhook holds: by paused, by partition, and in the template; and pods as a drain and a run leave them. */
async function holdByHand(): Promise<void> {
  const metadata = { annotations: { 'downdraft.dev/hold': '{}' } };
  const patch = (kind: 'deployments' | 'statefulsets', name: string, spec: object) =>
    client.request('PATCH', apps('air', kind, name), { body: { metadata, spec }, contentType: mergePatch });
  await patch('deployments', 'af-scheduler', { paused: true });
  const partition = { rollingUpdate: { partition: 2147483647 } };
  await patch('statefulsets', 'af-triggerer', { updateStrategy: partition });
  const pod = { containers: [{ name: 'worker', image: 'apache/airflow:3.1.8' }] };
  const labels = { app: 'worker' };
  const template = { metadata: { labels }, spec: { ...pod, schedulingGates: [{ name: 'downdraft.dev/hold' }] } };
  await apply(
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { ...metadata, namespace: 'air', name: 'af-worker' },
      spec: { serviceName: 'worker', replicas: 0, selector: { matchLabels: labels }, template },
    },
    ...Object.entries({ gated: 'true', role: 'probe' }).map(([label, value]) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'air', name: label, labels: { [`downdraft.dev/${label}`]: value } },
      spec: pod,
    })),
  );
}

it('the examples of a policy are ones, and the patches leave a namespace out', async () => {
  const blocks = documents()
    .flatMap(blocksOf)
    .filter(({ language }) => language === 'yaml');
  const policies = blocks.filter(({ text }) => text.includes('kind: DowngradePolicy'));
  for (const { text } of policies) must(await shell('kubectl apply --dry-run=server -f -', text));
  expect(policies).not.toEqual([]);
  for (const { text } of blocks.filter(({ text }) => text.startsWith('patches:'))) {
    const rendered = must(await shell('cd overlay && cat >> kustomization.yaml && kubectl kustomize .', text));
    const webhooks = parseAllDocuments(rendered).flatMap((document) => document.toJS().webhooks ?? []);
    const without = webhooks.filter((webhook) => !JSON.stringify(webhook.namespaceSelector).includes('team-mysql'));
    expect(without.map(({ name }) => name)).toEqual([]);
    expect(webhooks.length).toBeGreaterThan(4);
  }
});

it('a Downgrade is followed, read, decided upon and aborted', async () => {
  await installApis(client);
  await apply({
    apiVersion: 'downdraft.dev/v1alpha1',
    kind: 'Downgrade',
    metadata: { namespace: 'air', name: 'af-d9fb6d' },
    spec: { release: 'af', to: 'apache/airflow:3.1.8' },
  });
  const status = JSON.stringify({ status: { plan: ['convert 1 row', 'core'], approval: 'approve it by …' } });
  await kubectl('-n', 'air', 'patch', 'dg/af-d9fb6d', '--subresource=status', '--type=merge', '-p', status);
  expect(await type(take(/get downgrades?( -w)?$/))).toContain('af-d9fb6d');
  expect(await type(take(/get downgrade .*\.status\.plan/))).toBe('convert 1 row\ncore\n');
  expect(await type(take(/get downgrade .*\.status\.approval/))).toBe('approve it by …');
  expect(await type(take(/create rolebinding/))).toContain('created');
  expect(await type(take(/auth can-i/))).toBe('yes\n');
  await type(take(/^kubectl -n air events/));
  await type(take(/get volumesnapshots/));
  await type(take(/delete pod -l downdraft\.dev\/role=runner/));
  await kubectl('-n', 'downdraft', 'create', 'secret', 'generic', 'downdraft-certs');
  expect(await type(take(/delete secret downdraft-certs/))).toContain('deleted');
  await type(take(/"abort":true/));
  expect(await kubectl('-n', 'air', 'get', 'dg/af-d9fb6d', '-o', 'jsonpath={.spec.abort}')).toBe('true');
}, 60_000);

it('downdraft is taken out of the way, what it held is let go by hand, and it is uninstalled', async () => {
  const drain = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration' };
  const gate = { name: 'downdraft-drain-air.af', labels: { 'app.kubernetes.io/managed-by': 'downdraft' } };
  await apply({ ...drain, metadata: gate, webhooks: [] });
  await type(take(/^kubectl -n downdraft scale|^kubectl delete \w+webhookconfigurations/));
  expect(await kubectl('get', 'mutatingwebhookconfigurations,validatingwebhookconfigurations', '-o', 'name')).toBe('');
  const replicas = ['-o', 'jsonpath={.spec.replicas}'];
  expect(await kubectl('-n', 'downdraft', 'get', 'deployment/downdraft', ...replicas)).toBe('0');
  const held = take(/^kubectl get deployments,statefulsets -A/);
  expect((await type(held)).trim().split('\n')).toEqual([
    'air Deployment/af-scheduler',
    'air StatefulSet/af-triggerer',
    'air StatefulSet/af-worker',
  ]);
  await type(take(/^kubectl -n air patch (deployment|statefulset)\//));
  expect(await type(held)).toBe('');
  expect(await type(take(/delete pods -l downdraft\.dev\/gated/))).toContain('"gated"');
  expect(await type(take(/delete pods -l downdraft\.dev\/role/))).toContain('"role"');
  await type(take(/^kubectl get downgrades -A/));
  await type(take(/^kubectl delete -k overlay/));
  const kinds = ['crd,clusterroles,clusterrolebindings,validatingadmissionpolicies,namespaces', '-A', '-o', 'name'];
  await waitFor('nothing of downdraft to be left', 60_000, async () => {
    const left = await kubectl('get', ...kinds);
    return !left.includes('downdraft');
  });
}, 120_000);

it('npm run dev runs downdraft beside a cluster, with webhooks that name this machine only while it runs', async () => {
  const [port] = await freePorts(1);
  const args = ['run', '--silent', 'dev', '--', '--port', String(port)];
  const child = spawn('npm', args, { env: plane.env, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const urls = ['-o', 'jsonpath={.items[*].webhooks[*].clientConfig.url}'];
  const told = () => kubectl('get', 'mutatingwebhookconfigurations', ...urls);
  try {
    await waitFor('the webhook to answer the API server', 60_000, async () => {
      if (child.exitCode !== null) throw new Error('npm run dev has ended');
      if (!(await told()).includes(`https://127.0.0.1:${port}/mutate`)) return false;
      const dryRun = ['run', 'any', '--image=any', '--dry-run=server', '-n', 'air', '--labels=tier=airflow,release=af'];
      const asked = await terminal(plane.env)('kubectl', dryRun);
      return asked.code === 0 && (await readyAt(port!)) === 200;
    });
  } finally {
    process.kill(-child.pid!, 'SIGINT');
    await ended;
  }
  expect(await told()).toBe('');
}, 120_000);

async function readyAt(port: number): Promise<number | undefined> {
  return await new Promise((resolve) => {
    get({ port, path: '/readyz', rejectUnauthorized: false }, (response) => resolve(response.resume().statusCode)).once(
      'error',
      () => resolve(undefined),
    );
  });
}

it('no command is left that nobody has typed', () => {
  expect([...commands].map(({ file, line, text }) => `${file}:${line}: ${text}`)).toEqual([]);
});
