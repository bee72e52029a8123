/**
 * Which replica may act: leader election on one coordination.k8s.io Lease, with client-go's rules and numbers.
 *
 * - Every write carries the resourceVersion that was read, so of two candidates one meets a conflict.
 * - A record counts as expired when it has not changed for its own duration by OUR clock; no two clocks are compared.
 * - A leader that could not renew for renewSeconds stops; the others wait durationSeconds, so there is a gap, not an overlap.
 * - leaseTransitions rises with every new leader: the fencing token, for the writer that slept and does not know yet.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Client } from './client/client.ts';
import { conflict, notFound } from './client/errors.ts';
import { leasesOf } from './client/paths.ts';
import { limit } from './client/transport.ts';

export interface Election {
  namespace: string;
  name: string;
  /** The Pod's name; a random part is added, since a container that starts again is another candidate. */
  identity: string;
  durationSeconds?: number;
  renewSeconds?: number;
  retrySeconds?: number;
  /** `leads` says by our clock whether the lease still stands; ask it before a write. Not awaited. */
  onStarted(token: number, leads: () => boolean): void;
  /** Awaited before the lease is given away or sought again. */
  onStopped(): void | Promise<void>;
  /** Why this candidate could not lead well just now; while there is a reason it neither stands nor takes a free lease. */
  unfit?(): string | undefined;
  /** Told of each new such reason, once. */
  onUnfit?(why: string): void;
  /** A try that failed: the API server not reached, no right to the Lease. */
  onError?(error: unknown): void;
  signal: AbortSignal;
}

/** To ask oneself costs nothing, and after a rollout nobody leads until the first one has been told everything. */
const unfitMs = 100;

interface Lease {
  apiVersion?: string;
  kind?: string;
  metadata: { name: string; namespace: string; resourceVersion?: string };
  spec: LeaseSpec;
}

interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

interface Candidate {
  client: Client;
  election: Election;
  holder: string;
  durationMs: number;
  renewMs: number;
  retryMs: number;
  /** The record as last seen, and when by our clock it was first seen so. */
  lease: Lease | undefined;
  seen: string;
  seenAt: number;
}

/** Stands for election until the signal fires; then gives the lease back and returns. Throws only what onStopped throws. */
export async function elect(client: Client, election: Election): Promise<void> {
  const { durationSeconds = 15, renewSeconds = 10, retrySeconds = 2 } = election;
  const holder = `${election.identity}_${randomUUID()}`;
  const times = { durationMs: durationSeconds * 1000, renewMs: renewSeconds * 1000, retryMs: retrySeconds * 1000 };
  const candidate: Candidate = { client, election, holder, ...times, lease: undefined, seen: '', seenAt: 0 };
  let told: string | undefined;
  while (!election.signal.aborted) {
    const unfit = election.unfit?.();
    if (unfit !== undefined && unfit !== told) election.onUnfit?.(unfit);
    told = unfit;
    const acquiredAt = unfit === undefined ? await tryAcquire(candidate, election.signal) : undefined;
    if (acquiredAt !== undefined) await lead(candidate, acquiredAt);
    else await pause(unfit === undefined ? times.retryMs * (1 + Math.random() / 5) : unfitMs, election.signal);
  }
}

/** Leads until the lease is lost or the signal fires. */
async function lead(candidate: Candidate, acquiredAt: number): Promise<void> {
  const { election, renewMs } = candidate;
  let renewedAt = acquiredAt;
  let leading = true;
  election.onStarted(
    candidate.lease?.spec.leaseTransitions ?? 0,
    () => leading && performance.now() - renewedAt < renewMs,
  );
  try {
    for (;;) {
      await pause(candidate.retryMs, election.signal);
      if (election.signal.aborted) break;
      const renewed = await renew(candidate, renewedAt + renewMs);
      if (renewed === undefined) break;
      renewedAt = renewed;
    }
  } finally {
    leading = false;
    await election.onStopped();
  }
  if (election.signal.aborted) await giveBack(candidate);
}

/** Tries until it is done or `deadline` has come; answers when the lease was renewed, undefined when it is lost. */
async function renew(candidate: Candidate, deadline: number): Promise<number | undefined> {
  const { election, holder } = candidate;
  while (!election.signal.aborted && performance.now() < deadline) {
    const within = limit(deadline - performance.now(), election.signal);
    const at = await tryAcquire(candidate, within.signal).finally(within.clear);
    if (at !== undefined) return at;
    const other = candidate.lease?.spec.holderIdentity;
    if (other !== undefined && other !== holder) return undefined;
    await pause(Math.min(candidate.retryMs, deadline - performance.now()), election.signal);
  }
  return undefined;
}

/** One try to get or keep the lease; answers when it was sent (the lease counts from there), undefined when there is none. */
async function tryAcquire(candidate: Candidate, signal: AbortSignal): Promise<number | undefined> {
  const at = performance.now();
  try {
    // A leader writes on what it wrote last; reading first is only for those who do not know.
    if (candidate.lease?.spec.holderIdentity !== candidate.holder) await observe(candidate, signal);
    if (!isFree(candidate)) return undefined;
    await write(candidate, signal);
    return at;
  } catch (error) {
    if (conflict(error) || notFound(error))
      await observe(candidate, signal).catch((failed) => report(candidate, failed));
    else report(candidate, error);
    return undefined;
  }
}

function report(candidate: Candidate, error: unknown): void {
  candidate.election.onError?.(error);
}

async function observe(candidate: Candidate, signal: AbortSignal): Promise<void> {
  try {
    remember(
      candidate,
      await candidate.client.request<Lease>('GET', pathOf(candidate), { signal, timeoutMs: candidate.renewMs }),
    );
  } catch (error) {
    if (!notFound(error)) throw error;
    candidate.lease = undefined;
  }
}

function remember(candidate: Candidate, lease: Lease): void {
  const seen = JSON.stringify(lease.spec);
  if (seen !== candidate.seen) Object.assign(candidate, { seen, seenAt: performance.now() });
  candidate.lease = lease;
}

function isFree({ lease, holder, seenAt, durationMs }: Candidate): boolean {
  if (!lease?.spec.holderIdentity || lease.spec.holderIdentity === holder) return true;
  const standsMs = lease.spec.leaseDurationSeconds === undefined ? durationMs : lease.spec.leaseDurationSeconds * 1000;
  return performance.now() - seenAt > standsMs;
}

async function write(candidate: Candidate, signal: AbortSignal): Promise<void> {
  const { client, lease } = candidate;
  const { namespace, name } = candidate.election;
  const metadata = lease?.metadata ?? { namespace, name };
  const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: nextSpec(candidate) };
  const [method, path] = lease ? (['PUT', pathOf(candidate)] as const) : (['POST', folderOf(candidate)] as const);
  const query = { fieldManager: 'downdraft' };
  remember(candidate, await client.request<Lease>(method, path, { body, query, signal, timeoutMs: candidate.renewMs }));
}

function nextSpec({ lease, holder, durationMs }: Candidate): LeaseSpec {
  const now = microTime();
  const mine = lease?.spec.holderIdentity === holder;
  return {
    ...lease?.spec,
    holderIdentity: holder,
    leaseDurationSeconds: Math.ceil(durationMs / 1000),
    renewTime: now,
    acquireTime: mine ? lease?.spec.acquireTime : now,
    leaseTransitions: mine
      ? lease?.spec.leaseTransitions
      : Math.max((lease?.spec.leaseTransitions ?? 0) + 1, lease ? 0 : firstToken()),
  };
}

/** Minutes since 1970: a Lease that someone deleted must not begin again below the tokens that were given out. */
function firstToken(): number {
  return Math.floor(Date.now() / 60_000);
}

/** The holder's name is taken off, so that the next one need not wait. Someone else's already: nothing to do. */
async function giveBack(candidate: Candidate, again = true): Promise<void> {
  const { client, lease, holder } = candidate;
  if (lease?.spec.holderIdentity !== holder) return;
  const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime() };
  const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: lease.metadata, spec };
  const within = limit(3000);
  try {
    await client.request('PUT', pathOf(candidate), {
      body,
      query: { fieldManager: 'downdraft' },
      signal: within.signal,
    });
  } catch (error) {
    if (!conflict(error) || !again) return report(candidate, error);
    // The renewal that the signal cut short may have been stored.
    await observe(candidate, within.signal).then(
      async () => await giveBack(candidate, false),
      (failed) => report(candidate, failed),
    );
  } finally {
    within.clear();
  }
}

function folderOf({ election: { namespace } }: Candidate): string {
  return leasesOf(namespace);
}

function pathOf(candidate: Candidate): string {
  return leasesOf(candidate.election.namespace, candidate.election.name);
}

/** The API's MicroTime takes exactly six digits. */
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z');
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // An aborted signal ends the wait early; every caller looks at it next.
  await wait(Math.max(0, ms), undefined, { signal }).catch(() => undefined);
}
