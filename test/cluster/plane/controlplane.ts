/**
 * A real control plane: etcd, API server, controller manager and scheduler, without nodes and without root.
 *
 * Enough for everything about admission: matchConditions, dry run, server-side apply, warnings, real helm and kubectl.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureBinaries } from '../build/binaries.ts';
import type { Progress } from '../run/cache.ts';
import { type Daemon, deleteClusterFolder, logPath, makeClusterFolder, startDaemon } from '../run/folder.ts';
import { clearLeftovers } from '../run/leftovers.ts';
import { freePorts } from '../run/ports.ts';
import { waitFor } from '../run/wait.ts';
import { askApiServer } from './ask.ts';
import { admissionConfiguration } from './knowncaller.ts';
import { makePki, type Pki } from './pki.ts';

/** `purpose` is for people who find the folder; `keep`: the cluster outlives this process (see leftovers.ts). */
export interface ControlPlaneOptions {
  onProgress?: Progress;
  purpose?: string;
  keep?: boolean;
  /** The API server shows the admin's certificate to webhooks, as its admission configuration says. */
  knownToWebhooks?: boolean;
  /** Set by startNode: where in the network the control plane runs. */
  place?: Place;
}

/** The network namespace of a node's cluster, and the address under which the host reaches it. */
export interface Place {
  /** Prepares the place once the cluster's id is known. */
  prepare(id: string, dir: string): Promise<{ enter: string[]; address: string; nodeAddress: string }>;
  undo(id: string, dir: string): Promise<void>;
}

/** A running control plane. */
export interface ControlPlane {
  id: string;
  dir: string;
  kubeconfig: string;
  server: string;
  bin: string;
  pki: Pki;
  /** For programs that talk to it: PATH with `bin` first, KUBECONFIG, and helm's and kubectl's own folders. */
  env: NodeJS.ProcessEnv;
  /** The path of a program's log: etcd, kube-apiserver, kube-controller-manager, kube-scheduler. */
  log(name: string): string;
  /** Ends the API server and starts it anew, with the same data, on the same port; resolves when it is ready. */
  restartApiServer(): Promise<void>;
  /** Ends every process, waits for them to be gone and deletes the folder. May be called twice. */
  stop(): Promise<void>;
}

interface Site {
  id: string;
  dir: string;
  bin: string;
  env: NodeJS.ProcessEnv;
  enter: string[];
  address: string;
  nodeAddress: string;
  ports: Ports;
  server: string;
  pki: Pki;
  /** File of --admission-control-config-file. */
  admission?: string;
  daemons: Map<string, Daemon>;
}

interface Ports {
  etcd: number;
  etcdPeer: number;
  api: number;
  controllerManager: number;
  scheduler: number;
}

// Without a node nobody dials the address that the API server advertises, but it must not be a loopback one.
// 192.0.2.0/24 is kept for documentation (RFC 5737).
const NOWHERE = '192.0.2.1';

/**
 * Starts a control plane on free ports, in a folder of its own. Ready: /readyz says ok and the default namespace has
 * its service account. Throws with the end of the log of what did not start; nothing is left then.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { onProgress = () => {}, purpose = 'control plane', keep = false, knownToWebhooks = false, place } = options;
  await clearLeftovers();
  const bin = await ensureBinaries(onProgress);
  const { id, dir } = await makeClusterFolder(purpose, keep);
  const daemons = new Map<string, Daemon>();
  const stop = async () => {
    await Promise.all(['kube-scheduler', 'kube-controller-manager'].map((name) => daemons.get(name)?.end()));
    await daemons.get('kube-apiserver')?.end();
    await daemons.get('etcd')?.end();
    await place?.undo(id, dir);
    await deleteClusterFolder(dir);
  };
  try {
    onProgress('starting the control plane');
    const site = await makeSite(id, dir, bin, daemons, place);
    if (knownToWebhooks) site.admission = await admissionConfiguration(dir, site.pki);
    await startEtcd(site);
    await startApiServer(site);
    await startControllers(site);
    const restartApiServer = async () => {
      // Asked politely, it waits for its watches to end by themselves.
      await daemons.get('kube-apiserver')!.end(2000);
      await startApiServer(site);
    };
    const { server, env, pki } = site;
    const log = (name: string) => logPath(dir, name);
    return { id, dir, kubeconfig: env.KUBECONFIG!, server, bin, pki, env, log, restartApiServer, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function makeSite(
  id: string,
  dir: string,
  bin: string,
  daemons: Map<string, Daemon>,
  place: Place | undefined,
): Promise<Site> {
  const where = place ? await place.prepare(id, dir) : { enter: [], address: '127.0.0.1', nodeAddress: NOWHERE };
  const [etcd, etcdPeer, api, controllerManager, scheduler] = (await freePorts(5)) as [number, ...number[]];
  const ports = { etcd, etcdPeer, api, controllerManager, scheduler } as Ports;
  const server = `https://${where.address}:${ports.api}`;
  const kubernetes = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const addresses = new Set(['127.0.0.1', '10.96.0.1', where.address, where.nodeAddress]);
  const pki = await makePki(dir, ['localhost', ...kubernetes, ...addresses]);
  const kubeconfig = join(dir, 'kubeconfig');
  await writeFile(kubeconfig, await kubeconfigFor(server, pki), { mode: 0o600 });
  const home = join(dir, 'home');
  await mkdir(home);
  const env = {
    ...process.env,
    PATH: `${bin}:${process.env.PATH}`,
    KUBECONFIG: kubeconfig,
    KUBECACHEDIR: join(home, 'kube'),
    HELM_CACHE_HOME: join(home, 'helm/cache'),
    HELM_CONFIG_HOME: join(home, 'helm/config'),
    HELM_DATA_HOME: join(home, 'helm/data'),
  };
  return { id, dir, bin, env, ...where, ports, server, pki, daemons };
}

async function kubeconfigFor(server: string, pki: Pki): Promise<string> {
  const base64 = async (file: string) => (await readFile(file)).toString('base64');
  const cluster = { server, 'certificate-authority-data': await base64(pki.caCert) };
  const user = {
    'client-certificate-data': await base64(pki.adminCert),
    'client-key-data': await base64(pki.adminKey),
  };
  // JSON is YAML: kubectl reads it, and writes it back as YAML when it changes it.
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'downdraft', cluster }],
    users: [{ name: 'admin', user }],
    contexts: [{ name: 'downdraft', context: { cluster: 'downdraft', user: 'admin' } }],
    'current-context': 'downdraft',
  });
}

async function start(site: Site, name: string, args: string[]): Promise<Daemon> {
  const daemon = await startDaemon(site.dir, name, [...site.enter, join(site.bin, name), ...args], site.env);
  site.daemons.set(name, daemon);
  return daemon;
}

async function startEtcd(site: Site): Promise<void> {
  const client = `http://127.0.0.1:${site.ports.etcd}`;
  const peer = `http://127.0.0.1:${site.ports.etcdPeer}`;
  await start(site, 'etcd', [
    `--data-dir=${join(site.dir, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // A cluster that is deleted after use need not survive a power cut.
    '--unsafe-no-fsync',
  ]);
}

async function startApiServer(site: Site): Promise<void> {
  const { pki, ports } = site;
  const daemon = await start(site, 'kube-apiserver', [
    `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
    `--secure-port=${ports.api}`,
    `--bind-address=${site.enter.length > 0 ? '0.0.0.0' : '127.0.0.1'}`,
    `--advertise-address=${site.nodeAddress}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    `--tls-cert-file=${pki.apiCert}`,
    `--tls-private-key-file=${pki.apiKey}`,
    `--client-ca-file=${pki.caCert}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${pki.serviceAccountKey}`,
    `--service-account-signing-key-file=${pki.serviceAccountKey}`,
    '--authorization-mode=Node,RBAC',
    // Beta in 1.34, and what meshes and registry mirrors are played with in tests.
    '--feature-gates=MutatingAdmissionPolicy=true',
    '--runtime-config=admissionregistration.k8s.io/v1beta1=true',
    '--allow-privileged',
    // exec and logs reach the kubelet by address: there is no DNS for node names.
    '--kubelet-preferred-address-types=InternalIP',
    `--kubelet-client-certificate=${pki.adminCert}`,
    `--kubelet-client-key=${pki.adminKey}`,
    ...(site.admission ? [`--admission-control-config-file=${site.admission}`] : []),
  ]);
  await waitFor('a ready API server', 90_000, async () => {
    await daemon.check();
    return (await askApiServer(site.server, pki, '/readyz')).body === 'ok';
  });
}

async function startControllers(site: Site): Promise<void> {
  const { pki, ports } = site;
  const shared = [`--kubeconfig=${site.env.KUBECONFIG}`, '--bind-address=127.0.0.1', '--leader-elect=false'];
  const controllerManager = await start(site, 'kube-controller-manager', [
    ...shared,
    `--secure-port=${ports.controllerManager}`,
    `--service-account-private-key-file=${pki.serviceAccountKey}`,
    `--root-ca-file=${pki.caCert}`,
    '--use-service-account-credentials',
    `--cluster-signing-cert-file=${pki.caCert}`,
    `--cluster-signing-key-file=${pki.caKey}`,
  ]);
  const scheduler = await start(site, 'kube-scheduler', [...shared, `--secure-port=${ports.scheduler}`]);
  await waitFor('the default service account', 60_000, async () => {
    await Promise.all([controllerManager.check(), scheduler.check()]);
    const path = '/api/v1/namespaces/default/serviceaccounts/default';
    return (await askApiServer(site.server, pki, path)).status === 200;
  });
}
