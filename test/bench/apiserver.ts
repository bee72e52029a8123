/**
 * A stand-in for the API server of a big cluster, in a process of its own: lists in pages, watches, and keeps what is
 * written to downdraft's own namespace. Fifty Deployments of others change each second.
 *
 * usage: apiserver.ts PORT FOLDER-OF-CERTIFICATES SIZE-AS-JSON [led]      led: another replica holds the Lease
 */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { issue } from '../../certs/authority.ts';
import { leaveWithParent } from './child.ts';
import { crowd, foreignText, type Shelf, type Size } from './crowd.ts';

const [port, folder, sizeText, led] = process.argv.slice(2) as [string, string, string, string | undefined];
const size = JSON.parse(sizeText) as Size;
const cluster = crowd(size);
const stored = new Map<string, Record<string, unknown>>();
const watches = new Set<{ path: string; selector: string; response: ServerResponse }>();
/** What was asked, for the bench: lists of pods per namespace, and when the last list came. */
const seen = { looked: new Set<string>(), lists: 0, at: performance.now() };
let version = 1000;

const empty: Shelf = { kind: '', apiVersion: 'v1', count: 0, labels: () => ({}), text: () => '{}' };

function shelfAt(path: string): Shelf | undefined {
  const [, , namespace, resource = ''] =
    /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)(\/namespaces\/([^/]+))?\/([a-z]+)$/.exec(path) ?? [];
  switch (resource) {
    case 'namespaces':
      return {
        ...empty,
        kind: 'Namespace',
        count: cluster.namespaces.length,
        text: (at) => JSON.stringify({ metadata: { name: cluster.namespaces[at], uid: `ns-${at}`, labels: {} } }),
      };
    case 'deployments':
    case 'statefulsets':
      return cluster.workloads(resource === 'deployments' ? 'Deployment' : 'StatefulSet', namespace);
    case 'pods':
      return cluster.pods(namespace);
    case 'replicasets':
      return { ...empty, kind: 'ReplicaSet', apiVersion: 'apps/v1' };
    case 'controllerrevisions':
      return { ...empty, kind: 'ControllerRevision', apiVersion: 'apps/v1' };
    case 'downgrades':
      return { ...empty, kind: 'Downgrade', apiVersion: 'downdraft.dev/v1alpha1' };
    case 'downgradepolicies':
      return { ...empty, kind: 'DowngradePolicy', apiVersion: 'downdraft.dev/v1alpha1' };
    case 'configmaps':
      return { ...empty, kind: 'ConfigMap' };
    default:
      return undefined;
  }
}

/** Whether labels fit a selector: key, !key, key=value, key!=value, key in (a,b), all of them. */
function fits(selector: string, labels: Record<string, string>): boolean {
  return selector
    .split(/,(?![^(]*\))/)
    .filter(Boolean)
    .every((part) => {
      const [, negated, key = '', operator, value = ''] =
        /^(!?)([^\s=!]+)\s*(!=|==?|notin|in)?\s*(.*)$/.exec(part.trim()) ?? [];
      const has = labels[key];
      if (operator === undefined) return (has !== undefined) !== (negated === '!');
      const values = value.replace(/[()\s]/g, '').split(',');
      return values.includes(has ?? '\0') !== (operator === '!=' || operator === 'notin');
    });
}

const phaseField = /status\.phase(!?=)(\w+)/g;

async function list(shelf: Shelf, query: URLSearchParams, response: ServerResponse): Promise<void> {
  const limit = Number(query.get('limit') ?? 0) || Number.POSITIVE_INFINITY;
  const selector = query.get('labelSelector') ?? '';
  const phases = [...(query.get('fieldSelector') ?? '').matchAll(phaseField)];
  const isWanted = (at: number, text: string) =>
    fits(selector, shelf.labels(at)) &&
    phases.every(([, operator, phase]) => text.includes(`"phase":"${phase}"`) === (operator === '='));
  let at = Number(query.get('continue') ?? 0);
  let items = 0;
  const head = `{"kind":"${shelf.kind}List","apiVersion":"${shelf.apiVersion}","items":[`;
  const texts: string[] = [];
  for (; at < shelf.count && items < limit; at++) {
    if (selector && !fits(selector, shelf.labels(at))) continue;
    const text = shelf.text(at);
    if (!isWanted(at, text)) continue;
    texts.push(text);
    items++;
  }
  const rest = at < shelf.count ? `,"continue":"${at}","remainingItemCount":1` : '';
  response.end(`${head}${texts.join(',')}],"metadata":{"resourceVersion":"${version}"${rest}}}`);
}

function watch(path: string, query: URLSearchParams, response: ServerResponse): void {
  response.writeHead(200).flushHeaders();
  const one = { path, selector: query.get('labelSelector') ?? '', response };
  watches.add(one);
  response.on('close', () => watches.delete(one));
}

let change = 0;
setInterval(() => {
  for (let count = 0; count < 5; count++) {
    change++;
    version++;
    if (size.foreign === 0) return;
    for (const { path, selector, response } of watches)
      if (path === '/apis/apps/v1/deployments' && fits(selector, { app: 'shop' }))
        response.write(`{"type":"MODIFIED","object":${foreignText(change % size.foreign, change)}}\n`);
  }
}, 100);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'https://standin');
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
  response.setHeader('content-type', 'application/json');
  if (pathname === '/bench')
    return void response.end(
      JSON.stringify({ looked: seen.looked.size, lists: seen.lists, quietMs: performance.now() - seen.at }),
    );
  if (searchParams.get('watch') === 'true') return watch(pathname, searchParams, response);
  const shelf = request.method === 'GET' ? shelfAt(pathname) : undefined;
  if (shelf) {
    seen.lists++;
    seen.at = performance.now();
    if (shelf.kind === 'Pod' && pathname.includes('/namespaces/')) seen.looked.add(pathname);
    return await list(shelf, searchParams, response);
  }
  if (request.method === 'GET') return get(pathname, response);
  const { metadata = {} } = body as { metadata?: Record<string, string> };
  const key = request.method === 'POST' ? `${pathname}/${metadata.name ?? metadata.generateName}` : pathname;
  const kept = { ...body, metadata: { ...metadata, resourceVersion: String(++version), uid: key } };
  if (/\/(secrets|leases)/.test(pathname)) stored.set(key, withData(kept));
  response.end(JSON.stringify(kept));
}

function withData(object: Record<string, unknown>): Record<string, unknown> {
  const { stringData, ...rest } = object as { stringData?: Record<string, string> };
  if (!stringData) return object;
  return {
    ...rest,
    data: Object.fromEntries(Object.entries(stringData).map(([k, v]) => [k, Buffer.from(v).toString('base64')])),
  };
}

function get(path: string, response: ServerResponse): void {
  if (/webhookconfigurations\/downdraft$/.test(path))
    return void response.end(JSON.stringify({ webhooks: [{ name: 'one', clientConfig: {} }] }));
  if (led && path.includes('/leases/')) {
    const spec = {
      holderIdentity: 'another',
      leaseDurationSeconds: 15,
      renewTime: `${Date.now()}`,
      leaseTransitions: 1,
    };
    return void response.end(JSON.stringify({ metadata: { name: 'downdraft', resourceVersion: '1' }, spec }));
  }
  const object = stored.get(path);
  if (object) return void response.end(JSON.stringify(object));
  response.statusCode = 404;
  response.end(JSON.stringify({ kind: 'Status', code: 404, reason: 'NotFound', message: `${path} not found` }));
}

/** As of any day but the first: a replica that has to make the certificates loads what it never needs again. */
const { ca, leaf } = await issue({ serviceName: 'downdraft', namespace: 'downdraft', now: new Date() });
const stringData = { 'ca.crt': ca.cert, 'ca.key': ca.key, 'tls.crt': leaf.cert, 'tls.key': leaf.key };
const metadata = { name: 'downdraft-certs', namespace: 'downdraft', resourceVersion: '1' };
stored.set('/api/v1/namespaces/downdraft/secrets/downdraft-certs', withData({ metadata, stringData }));

const read = (name: string) => readFileSync(join(folder, name));
createServer({ cert: read('tls.crt'), key: read('tls.key') }, (request, response) => {
  answer(request, response).catch((error) => response.destroy(error));
}).listen(Number(port), '127.0.0.1');
leaveWithParent(() => process.exit());
