import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { askApiServer, askPlain } from '../plane/ask.ts';
import type { ControlPlane } from '../plane/controlplane.ts';
import { type Daemon, startDaemon } from '../run/folder.ts';
import { waitFor } from '../run/wait.ts';
import { dnsAddress } from './kubelet.ts';
import type { Network } from './netns.ts';

const READY_PORT = 8181;

/**
 * Starts CoreDNS as a process beside the kubelet, behind the usual Service kube-system/kube-dns: nothing to pull, and
 * up before the first pod. It answers for the cluster only; other names do not exist here.
 */
export async function startDns(plane: ControlPlane, network: Network): Promise<Daemon> {
  const corefile = join(plane.dir, 'Corefile');
  await writeFile(
    corefile,
    `.:53 {
  bind ${network.nodeAddress}
  errors
  ready ${network.address}:${READY_PORT}
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${plane.kubeconfig} downdraft
    pods insecure
    ttl 5
  }
}
`,
  );
  const command = [...network.enter, join(plane.bin, 'coredns'), '-conf', corefile];
  const daemon = await startDaemon(plane.dir, 'coredns', command, plane.env);
  for (const [path, body] of dnsObjects(network.nodeAddress)) await create(plane, path, body);
  await waitFor('the cluster DNS', 30_000, async () => {
    await daemon.check();
    return (await askPlain(`http://${network.address}:${READY_PORT}/ready`)).status === 200;
  });
  return daemon;
}

function dnsObjects(nodeAddress: string): [string, object][] {
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  ];
  const service = { metadata: { name: 'kube-dns' }, spec: { clusterIP: dnsAddress, ports } };
  const slice = {
    metadata: { name: 'kube-dns', labels: { 'kubernetes.io/service-name': 'kube-dns' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [nodeAddress], conditions: { ready: true } }],
    ports,
  };
  return [
    ['/api/v1/namespaces/kube-system/services', service],
    ['/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices', slice],
  ];
}

async function create(plane: ControlPlane, path: string, body: object): Promise<void> {
  const answer = await askApiServer(plane.server, plane.pki, path, { method: 'POST', body });
  if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.status} ${answer.body}`);
}
