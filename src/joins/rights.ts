/** The rights without which a downgrade could not be brought to its end, asked of the API server before anything is held. */
import { mayI, type Right } from '../cluster/access.ts';
import type { Client } from '../cluster/client.ts';

const needed: Omit<Right, 'namespace'>[] = [
  { verb: 'patch', group: 'apps', resource: 'deployments' },
  { verb: 'patch', group: 'apps', resource: 'statefulsets' },
  ...['list', 'create', 'delete', 'patch'].map((verb) => ({ verb, group: '', resource: 'pods' })),
  { verb: 'create', group: '', resource: 'pods', subresource: 'exec' },
  { verb: 'get', group: '', resource: 'pods', subresource: 'log' },
  { verb: 'list', group: 'apps', resource: 'replicasets' },
  { verb: 'list', group: 'apps', resource: 'controllerrevisions' },
  ...['get', 'delete'].map((verb) => ({ verb, group: 'batch', resource: 'jobs' })),
  { verb: 'create', group: 'downdraft.dev', resource: 'downgrades' },
  { verb: 'patch', group: 'downdraft.dev', resource: 'downgrades', subresource: 'status' },
];

/** Long enough that a deploy of six workloads asks once, short enough that a mended role counts at the next try. */
const keptMs = 20_000;

/** Tells which of them are missing in a namespace, in words as "create pods/exec". Throws when the API server can't be asked. */
export function rightsOf(client: Client): (namespace: string) => Promise<string[]> {
  const kept = new Map<string, { at: number; missing: Promise<string[]> }>();
  return (namespace) => {
    const known = kept.get(namespace);
    if (known && performance.now() - known.at < keptMs) return known.missing;
    const missing = mayI(
      client,
      needed.map((right) => ({ ...right, namespace })),
    ).then((rights) => rights.map(inWords));
    kept.set(namespace, { at: performance.now(), missing });
    missing.catch(() => kept.delete(namespace));
    return missing;
  };
}

function inWords({ verb, group, resource, subresource }: Right): string {
  return `${verb} ${resource}${subresource ? `/${subresource}` : ''}${group ? `.${group}` : ''}`;
}
