import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { askApiServer } from '../plane/ask.ts';
import type { ControlPlane } from '../plane/controlplane.ts';
import { type Daemon, startDaemon } from '../run/folder.ts';
import { waitFor } from '../run/wait.ts';
import { nodeAddress, podNetwork } from './netns.ts';

/** The node's name. */
const nodeName = 'node';

/** The Service address of the cluster's DNS. */
export const dnsAddress = '10.96.0.10';

/** Starts the kubelet and kube-proxy; resolves when the node is Ready. */
export async function startKubelet(plane: ControlPlane, enter: string[], socket: string): Promise<Daemon[]> {
  const { dir, bin, env, kubeconfig } = plane;
  const start = async (name: string, config: object, args: string[]) => {
    const file = join(dir, `${name}.json`);
    await writeFile(file, JSON.stringify(config));
    return await startDaemon(dir, name, [...enter, join(bin, name), `--config=${file}`, ...args], env);
  };
  const kubelet = await start('kubelet', kubeletConfig(plane, socket), [
    `--kubeconfig=${kubeconfig}`,
    `--root-dir=${join(dir, 'kubelet')}`,
    `--hostname-override=${nodeName}`,
    `--node-ip=${nodeAddress}`,
  ]);
  const proxy = await start('kube-proxy', proxyConfig(kubeconfig), []);
  await waitFor('a Ready node', 90_000, async () => {
    await Promise.all([kubelet.check(), proxy.check()]);
    const { status, body } = await askApiServer(plane.server, plane.pki, `/api/v1/nodes/${nodeName}`);
    if (status !== 200) return false;
    const { conditions = [] } = JSON.parse(body).status as { conditions?: { type: string; status: string }[] };
    return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
  });
  return [proxy, kubelet];
}

function kubeletConfig(plane: ControlPlane, socket: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: plane.pki.caCert },
    },
    authorization: { mode: 'AlwaysAllow' },
    containerRuntimeEndpoint: `unix://${socket}`,
    clusterDNS: [dnsAddress],
    clusterDomain: 'cluster.local',
    // Else written to a folder that all clusters share.
    podLogsDir: join(plane.dir, 'pods'),
    resolvConf: '',
    // cgroup v1, or none that may be divided: the machine's own limits are all there are.
    cgroupDriver: 'cgroupfs',
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    oomScoreAdj: 0,
    // Images outlive the cluster, whatever this kubelet thinks of the disk.
    imageGCHighThresholdPercent: 100,
    imageMinimumGCAge: '24h',
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    // Pods of tests come and go by the dozen.
    maxPods: 250,
    serializeImagePulls: false,
  };
}

function proxyConfig(kubeconfig: string): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    clientConnection: { kubeconfig },
    clusterCIDR: podNetwork,
    hostnameOverride: nodeName,
    // The machine's table is not the cluster's to size.
    conntrack: { maxPerCore: 0, min: 0 },
    oomScoreAdj: 0,
  };
}
