/** A webhook that does what the drain's webhook promises: gates whatever pod it is shown. A real TLS server on a free port. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { generate } from 'selfsigned';
import { gateWarning } from '../../src/release/airflow/charts.ts';
import { releaseOfPod } from '../../src/release/kubernetes/pods.ts';

export interface Gatekeeper {
  url: string;
  caBundle: string;
  /** Paths that were asked for. */
  paths: string[];
  stop(): Promise<void>;
}

export async function startGatekeeper(): Promise<Gatekeeper> {
  const altNames = [{ type: 7 as const, ip: '127.0.0.1' }];
  const pems = await generate([{ name: 'commonName', value: 'gatekeeper' }], {
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames }],
  });
  const paths: string[] = [];
  const server = createServer({ key: pems.private, cert: pems.cert }, (request, response) => {
    paths.push(new URL(request.url ?? '', 'https://x').pathname);
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const { uid, object } = JSON.parse(body).request;
      const gates = [...(object.spec.schedulingGates ?? []), { name: 'downdraft.dev/hold' }];
      const labels = { ...object.metadata.labels, 'downdraft.dev/gated': 'true' };
      const patch = [
        { op: 'add', path: '/spec/schedulingGates', value: gates },
        { op: 'add', path: '/metadata/labels', value: labels },
      ];
      const answer = {
        uid,
        allowed: true,
        patchType: 'JSONPatch',
        patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
        warnings: [gateWarning(releaseOfPod(object) ?? object.metadata.labels.release)],
      };
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caBundle: Buffer.from(pems.cert).toString('base64'),
    paths,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
