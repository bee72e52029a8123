/** What is nobody's business but its owner's: things of another namespace and of the cluster, and who asked for them. */
import { expect } from 'vitest';
import type { Client } from '../../src/cluster/client/client.ts';
import { apps, configurations, core, everywhere, namespaceOf } from '../../src/cluster/client/paths.ts';
import { shop } from '../admission/written.ts';
import { waitFor } from '../cluster/run/wait.ts';

/** Where the canaries are, and what they are called. */
export const foreign = { namespace: 'prod', name: 'canary' } as const;

const mutating = configurations('MutatingWebhookConfiguration');

export interface Canaries {
  /** Fails when one is gone, was made anew or says something else; and when a request was for what is not the tenant's. */
  expectUntouched(asked: readonly string[]): Promise<void>;
}

/** A pod, a Secret and a Deployment of another namespace, somebody's webhook configuration; downdraft's own are there. */
export async function makeCanaries(client: Client, tenant: string): Promise<Canaries> {
  const { namespace, name } = foreign;
  const create = (path: string, body: object) => client.request('POST', path, { body });
  await create('/api/v1/namespaces', { metadata: { name: namespace } });
  await waitFor('the default service account', 60_000, () =>
    client.request<object>('GET', core(namespace, 'serviceaccounts', 'default')),
  );
  const spec = { containers: [{ name: 'x', image: 'x:1' }], schedulingGates: [{ name: 'x.example/never' }] };
  await create(core(namespace, 'pods'), { metadata: { name }, spec });
  await create(core(namespace, 'secrets'), { metadata: { name }, stringData: { connection: 'x' } });
  await create(mutating, { metadata: { name }, webhooks: [] });
  await makeForeignDeployment(client);
  const before = await seen(client);
  return {
    expectUntouched: async (asked) => {
      const allowed = allowedFor(tenant);
      const other = asked.filter((one) => !allowed.some((path) => path.test(one)));
      expect([...new Set(other)]).toEqual([]);
      expect(await seen(client)).toEqual(before);
    },
  };
}

/** A Deployment that is none of Airflow's; resolves when its own controller has written of it all that it will. */
async function makeForeignDeployment(client: Client): Promise<void> {
  const { metadata, spec, ...object } = shop();
  const body = { ...object, metadata: { ...metadata, ...foreign }, spec: { ...spec, paused: true, replicas: 0 } };
  await client.request('POST', apps(foreign.namespace, 'deployments'), { body });
  await waitFor('the status of a Deployment', 60_000, async () => {
    const path = apps(foreign.namespace, 'deployments', foreign.name);
    const { status } = await client.request<{ status?: Written }>('GET', path);
    const types = status?.conditions?.map(({ type }) => type).sort();
    return status?.observedGeneration === 1 && types?.join(' ') === 'Available Progressing';
  });
}

interface Written {
  observedGeneration?: number;
  conditions?: { type: string }[];
}

/** Which objects they are, and what is in them. */
async function seen(client: Client) {
  const { namespace, name } = foreign;
  const paths = [
    core(namespace, 'pods', name),
    core(namespace, 'secrets', name),
    apps(namespace, 'deployments', name),
    configurations('MutatingWebhookConfiguration', name),
    configurations('MutatingWebhookConfiguration', 'downdraft'),
    configurations('ValidatingWebhookConfiguration', 'downdraft'),
  ];
  type Read = { metadata: { uid: string; resourceVersion: string; deletionTimestamp?: string } };
  return await Promise.all(
    paths.map(async (path) => {
      const { metadata } = await client.request<Read>('GET', path);
      return { path, uid: metadata.uid, version: metadata.resourceVersion, going: metadata.deletionTimestamp };
    }),
  );
}

/** Everything that downdraft may ask for while it looks after the releases of one namespace. */
function allowedFor(tenant: string): RegExp[] {
  const name = '[a-z0-9]([-a-z0-9.]*[a-z0-9])?';
  const inTenant = `/(api/v1|apis/[a-z0-9.]+/v1(alpha1)?)/namespaces/${tenant}/[a-z]+(/${name}(/[a-z]+)?)?`;
  return [
    ...Object.values(everywhere).map((path) => new RegExp(`^(GET|POST) ${path}$`)),
    new RegExp(`^[A-Z]+ ${inTenant}$`),
    new RegExp(`^PATCH ${namespaceOf(tenant)}$`),
    new RegExp(`^[A-Z]+ ${core('downdraft', 'configmaps')}(/downdraft-images)?$`),
    new RegExp(`^(GET|DELETE) ${mutating}/downdraft-drain-${tenant}\\.${name}$`),
    new RegExp(`^POST ${mutating}$`),
  ];
}
