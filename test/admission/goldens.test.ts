/** The golden reviews of workloads once more, through a real API server: the same verdict and reason. */
import { globSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { ownAccount, type World } from '../make/ports.ts';
import { makeDatabase } from '../make/release.ts';
import { type Guarded, startGuarded } from './guarded.ts';
import { asWritten } from './written.ts';

interface Golden {
  world: World;
  review: {
    request: {
      operation: string;
      object: WorkloadObject;
      oldObject: WorkloadObject | null;
      dryRun: boolean;
      userInfo: { username: string };
    };
  };
  answer: { response: { allowed: boolean; patch?: unknown[]; auditAnnotations: { verdict: string; reason: string } } };
}

const folder = new URL('./reviews/mutate/', import.meta.url).pathname;
const goldens = globSync('*.json', { cwd: folder })
  .sort()
  .map((file) => [file.replace('.json', ''), JSON.parse(readFileSync(folder + file, 'utf8')) as Golden] as const)
  .filter(([, golden]) => isSendable(golden));

/** Some can't be had of an API server, or need a port to fail. */
function isSendable({ world, review: { request }, answer }: Golden): boolean {
  const sides = [request.object, request.oldObject].filter((o) => o !== null);
  const alive = sides.every((o) => o?.metadata && o.metadata.deletionTimestamp === undefined);
  return (
    ['CREATE', 'UPDATE'].includes(request.operation) &&
    alive &&
    !world.failing &&
    answer.response.auditAnnotations.verdict !== 'error'
  );
}

let at: Guarded;
beforeAll(async () => {
  at = await startGuarded();
}, 180_000);
afterAll(async () => await at?.stop());

const plural = ({ kind }: WorkloadObject) => `/apis/apps/v1/namespaces/air/${kind!.toLowerCase()}s`;

/** Nothing starts, whatever is asked for: this is about what is admitted. */
function idle(object: WorkloadObject): WorkloadObject {
  const written = asWritten(object);
  written.spec.replicas = 0;
  return written;
}

/** All that the golden says is stored, let in on an empty database. */
async function store({ world, review: { request } }: Golden): Promise<void> {
  for (const kind of ['deployments', 'statefulsets'])
    await at.client.request('DELETE', `/apis/apps/v1/namespaces/air/${kind}`, { query: { gracePeriodSeconds: 0 } });
  for (const key of Object.keys(at.world)) delete (at.world as Record<string, unknown>)[key];
  at.world.database = makeDatabase({ tables: {}, airflowTables: false });
  const stored = new Map(
    [...(world.workloads ?? []), ...(request.oldObject ? [request.oldObject] : [])].map((o) => [o.metadata.name, o]),
  );
  for (const object of stored.values())
    await waitFor(`${object.metadata.name} to be stored`, 10_000, () =>
      at.client.request('POST', plural(object), { body: idle(object) }),
    );
  // Whoever sends it here is us where it was us who sent it there.
  const own = request.userInfo.username === ownAccount ? 'admin' : undefined;
  Object.assign(at.world, { database: undefined, ...world, ownAccount: own });
}

/** Sends the golden's object as a dry run, and tells what came of it. */
async function send({ review: { request } }: Golden) {
  at.reviewed.length = 0;
  const object = idle(request.object);
  const [method, path] =
    request.operation === 'CREATE'
      ? (['POST', plural(object)] as const)
      : (['PUT', `${plural(object)}/${object.metadata.name}`] as const);
  const body = { contentType: 'application/json', query: { dryRun: 'All' }, body: object };
  const stored = await at.client.request<WorkloadObject>(method, path, body).catch((error) => String(error.message));
  const [first] = at.reviewed;
  return { stored, told: first && `${first.verdict} ${first.reason}` };
}

it.each(goldens)('%s', async (_, golden) => {
  await store(golden);
  const { allowed, patch, auditAnnotations } = golden.answer.response;
  const expected = `${auditAnnotations.verdict} ${auditAnnotations.reason}`;
  // Where nothing is to be said the API server need not ask; what was stored last may reach the mirror a moment later.
  const silent = allowed && patch === undefined && ['SameImage', 'NotAirflow'].includes(auditAnnotations.reason);
  const isSo = async () => {
    const sent = await send(golden);
    return (sent.told ?? (silent ? expected : undefined)) === expected ? sent : undefined;
  };
  const sent = await waitFor(expected, 5_000, isSo).catch(async (error) => {
    throw new Error(`${error.message}; but ${JSON.stringify(await send(golden)).slice(0, 600)}`);
  });
  expect(typeof sent.stored === 'object').toBe(allowed);
  if (typeof sent.stored === 'string')
    expect(sent.stored).toMatch(/admission webhook "\w+\.downdraft\.dev" denied the request: downdraft: /);
  else if (auditAnnotations.verdict === 'hold')
    expect(sent.stored.metadata.annotations).toHaveProperty(['downdraft.dev/hold']);
});
