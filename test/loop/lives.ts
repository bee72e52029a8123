/** Sends the lives of objects to an API server, and keeps what came of them. */
import type { Client } from '../../src/cluster/client/client.ts';
import { ApiError, notFound } from '../../src/cluster/client/errors.ts';
import { type Life, observed, type Update } from './anything.ts';
import { airflowIn, isHeld, isOlder, namesSchema } from './oracle.ts';
import type { Spoiling } from './spoiling.ts';
import { pathOf, podSpecOf, type Thing } from './things.ts';

/** How many requests ended how. */
export interface Told {
  sent: number;
  accepted: number;
  /** By downdraft's webhooks and policies, with a reason. */
  refusedByUs: number;
  refusedByApiServer: number;
  /** Updates to an older image that were stored, and are held; or as they are where it is only observed. */
  held: number;
  observed: number;
  /** No answer of a webhook. */
  failing: string[];
  /** What should not be, with the object. */
  faults: string[];
}

export const nothingYet = (): Told => ({
  sent: 0,
  accepted: 0,
  refusedByUs: 0,
  refusedByApiServer: 0,
  held: 0,
  observed: 0,
  failing: [],
  faults: [],
});

const spoiltBy = (object: Thing, spoilings: Spoiling[]) => spoilings.reduce((so, { apply }) => apply(so), object);

/** Stores it, changes it, and takes it away again, but for one that is to `stay`. Answers what is there then. */
export async function live(client: Client, given: Life, told: Told, stay: boolean): Promise<Thing | undefined> {
  const { namespace = '', object } = given;
  const { kind, metadata } = object;
  const path = pathOf(kind, namespace, metadata.name);
  const written = spoiltBy(object, given.spoilings);
  let stored = await send(client, 'POST', pathOf(kind, namespace), written, told);
  if (!stored) return undefined;
  /** The Airflow that runs: what was stored last and not held. */
  let running = isHeld(stored) ? undefined : airflowIn(stored);
  for (const update of given.updates) {
    const wanted = changed(update.fresh ? written : stored, update, namespace, metadata.name);
    const before = stored;
    const now = await send(client, 'PUT', path, wanted, told);
    if (!now) continue;
    stored = now;
    const asked = airflowIn(now) ?? airflowIn(now, before);
    if (airflowIn(before) !== undefined && asked !== running && isOlder(asked))
      judged(given, update, before, now, told);
    if (!isHeld(now)) running = asked;
  }
  if (stay) return stored;
  await unlessGone(
    client.request('DELETE', path, { query: { propagationPolicy: 'Background', gracePeriodSeconds: 0 } }),
  );
  return undefined;
}

/** One whose owner is nowhere is collected as garbage. */
export async function unlessGone<T>(asking: Promise<T>): Promise<T | undefined> {
  return await asking.catch((error) => {
    if (notFound(error)) return undefined;
    throw error;
  });
}

function judged({ namespace, object }: Life, update: Update, before: Thing, now: Thing, told: Told): void {
  if (namesSchema(before) || namesSchema(now)) return;
  if (namespace === observed) told.observed++;
  else if (isHeld(now)) told.held++;
  else {
    const how = update.spoilings.map(({ what }) => what);
    const shown = JSON.stringify({ before, now }).slice(0, 6000);
    told.faults.push(`${object.kind} to ${update.image}, ${how.join('; ')}: starts an older Airflow: ${shown}`);
  }
}

function changed(from: Thing, { image, spoilings }: Update, namespace: string, name: string): Thing {
  const wanted = structuredClone(from) as Thing & { status?: object };
  delete wanted.status;
  const spec = podSpecOf(wanted);
  if (image) for (const c of [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]) c.image = image;
  const { metadata, ...rest } = spoiltBy(wanted, spoilings);
  const { resourceVersion: _, managedFields: __, ...own } = metadata as typeof metadata & { managedFields?: object };
  return { ...rest, metadata: { ...own, name, ...(namespace ? { namespace } : {}) } };
}

/** Of our kinds the API server takes no update that does not say of which version it is. */
async function current(client: Client, method: 'POST' | 'PUT', path: string, { kind, metadata }: Thing) {
  if (method === 'POST' || !kind.startsWith('Downgrade')) return {};
  const stored = await unlessGone(client.request<Thing>('GET', path));
  return { metadata: { ...metadata, resourceVersion: stored?.metadata.resourceVersion } };
}

const versions: Record<string, string> = {
  Pod: 'v1',
  Job: 'batch/v1',
  CronJob: 'batch/v1',
  Downgrade: 'downdraft.dev/v1alpha1',
  DowngradePolicy: 'downdraft.dev/v1alpha1',
};

async function send(
  client: Client,
  method: 'POST' | 'PUT',
  path: string,
  object: Thing,
  told: Told,
): Promise<Thing | undefined> {
  const { kind } = object;
  told.sent++;
  try {
    const body = {
      apiVersion: versions[kind] ?? 'apps/v1',
      ...object,
      ...(await current(client, method, path, object)),
    };
    const stored = await client.request<Thing>(method, path, { body, timeoutMs: 30_000 });
    told.accepted++;
    return { ...stored, kind };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (/failed calling webhook/.test(error.message))
      told.failing.push(`${error.message} ${kind} ${JSON.stringify(object).slice(0, 300)}`);
    else if (/(\.downdraft\.dev"|policy 'downdraft-[a-z]+'.*) denied/.test(error.message)) told.refusedByUs++;
    else told.refusedByApiServer++;
    return undefined;
  }
}
