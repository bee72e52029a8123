/**
 * List, then watch, for as long as the signal lets it.
 *
 * 1. A list gives every object and a resource version; the watch goes on from there.
 * 2. The API server ends each watch after timeoutSeconds: the next one begins at once, from where the last one was.
 * 3. Any other end waits before the next try, 10 s at most, unless the stream had lived for a while; or as long as the API
 *    server asks for (Retry-After), up to 5 minutes.
 * 4. 410 (the version is too old): list again, and tell as DELETED what is no longer there.
 * 5. Bookmarks come about once a minute. Nothing at all for 90 s: the connection may be dead without a word; begin anew.
 *
 * The library's own watch is not used: it is cut every 30 s and its informer backs off up to 30 s on a quiet cluster.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Client } from './client.ts';
import { ApiError, expired } from './errors.ts';
import { lines } from './lines.ts';
import { each } from './lists.ts';

export interface Watched {
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
  };
}

export interface WatchEvent<T> {
  /** After a second list an object known before comes as MODIFIED, changed or not; a DELETED one then is what is kept of it: kind, names, labels, and the spec of what runs nothing. */
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: T;
}

/** synced: every object has been told. retrying: the API server can't be watched just now; what is known may be old. */
export type WatchState = { state: 'synced' } | { state: 'retrying'; error: unknown; afterMs: number };

export interface WatchOptions<T> {
  labelSelector?: string;
  fieldSelector?: string;
  onChange(event: WatchEvent<T>): void;
  onState?(state: WatchState): void;
  signal: AbortSignal;
  timeoutSeconds?: number;
  silenceMs?: number;
}

interface Course {
  version: string | undefined;
  /** By uid: what remains of each object that has been told and not deleted since, as text: a third of the memory. */
  seen: Map<string, string>;
  failures: number;
}

const livedMs = 1000;

/** Tells every object at `path` and every change of it until the signal fires; then it returns. Throws nothing of the network's. */
export async function watch<T extends Watched>(client: Client, path: string, options: WatchOptions<T>): Promise<void> {
  const course: Course = { version: undefined, seen: new Map(), failures: 0 };
  while (!options.signal.aborted) {
    const started = performance.now();
    try {
      if (course.version === undefined) await relist(client, path, options, course);
      await follow(client, path, options, course);
      if (performance.now() - started < livedMs) throw new Error(`GET ${path}: the watch ended at once`);
      course.failures = 0;
    } catch (error) {
      if (options.signal.aborted) return;
      await pause(error, performance.now() - started > livedMs, options, course);
    }
  }
}

/** After an end that was not in order: says so, and waits until the next try is due or the signal fires. */
async function pause<T>(error: unknown, lived: boolean, options: WatchOptions<T>, course: Course): Promise<void> {
  if (expired(error)) course.version = undefined;
  if (lived) course.failures = 0;
  const afterMs = pauseOf(error, course.failures++);
  options.onState?.({ state: 'retrying', error, afterMs });
  await wait(afterMs, undefined, { signal: options.signal }).catch(() => undefined);
}

async function relist<T extends Watched>(client: Client, path: string, options: WatchOptions<T>, course: Course) {
  const { signal, labelSelector, fieldSelector } = options;
  const gone = new Set(course.seen.keys());
  const take = (object: T) => {
    const key = keyOf(object);
    gone.delete(key);
    tell(options, course, { type: course.seen.has(key) ? 'MODIFIED' : 'ADDED', object });
  };
  // Each object is told and let go before the next one is read. Until the end nothing is known to be gone.
  course.version = await each(client, path, take, { labelSelector, fieldSelector, signal });
  for (const key of gone) tell(options, course, { type: 'DELETED', object: JSON.parse(course.seen.get(key)!) as T });
  options.onState?.({ state: 'synced' });
}

/** One watch, to its end. Throws ApiError 410 when the version is too old, and what the connection throws. */
async function follow<T extends Watched>(client: Client, path: string, options: WatchOptions<T>, course: Course) {
  const { signal, labelSelector, fieldSelector, timeoutSeconds = 290, silenceMs = 90_000 } = options;
  const query = {
    watch: true,
    allowWatchBookmarks: true,
    resourceVersion: course.version,
    timeoutSeconds,
    labelSelector,
    fieldSelector,
  };
  const response = await client.stream(path, { query, signal });
  if (course.failures > 0) options.onState?.({ state: 'synced' });
  let silent = false;
  const silence = setTimeout(() => {
    silent = true;
    response.destroy();
  }, silenceMs);
  try {
    for await (const line of lines(response, () => silence.refresh())) take(JSON.parse(line), path, options, course);
  } catch (error) {
    if (!silent) throw error;
  } finally {
    clearTimeout(silence);
    response.destroy();
  }
}

type WireEvent<T> =
  | WatchEvent<T>
  | { type: 'BOOKMARK'; object: Watched }
  | { type: 'ERROR'; object: { code?: number; reason?: string; message?: string } };

function take<T extends Watched>(event: WireEvent<T>, path: string, options: WatchOptions<T>, course: Course): void {
  if (event.type === 'ERROR') {
    const { code = 500, reason = '', message = 'no explanation' } = event.object;
    throw new ApiError(code, reason, `GET ${path}: the watch was ended: ${code} ${message}`);
  }
  if (event.type !== 'BOOKMARK') tell(options, course, event);
  // Only after it has been told: what onChange throws on comes again.
  course.version = event.object.metadata.resourceVersion ?? course.version;
}

function tell<T extends Watched>(options: WatchOptions<T>, course: Course, event: WatchEvent<T>): void {
  options.onChange(event);
  if (event.type === 'DELETED') course.seen.delete(keyOf(event.object));
  else course.seen.set(keyOf(event.object), JSON.stringify(remainsOf(event.object)));
}

/** Who it was, for the day it is found gone; not what it ran or how: of 6,000 workloads that would be 100 MB. */
function remainsOf<T extends Watched>(object: T): T {
  const { apiVersion, kind, metadata, spec } = object as T & { apiVersion?: string; kind?: string; spec?: object };
  const { name, namespace, uid, labels } = metadata;
  const runs = spec && ('template' in spec || 'containers' in spec);
  return { apiVersion, kind, metadata: { name, namespace, uid, labels }, spec: runs ? {} : spec } as unknown as T;
}

function keyOf({ metadata }: Watched): string {
  return metadata.uid ?? `${metadata.namespace}/${metadata.name}`;
}

/** A server that asks for more is taken at its word no further: a proxy's maintenance page must not blind us for a day. */
const longestAskedMs = 300_000;

/** At once after a stream that had lived; then 0.2 s doubled up to 10 s, a random half of it; never before the server says. */
function pauseOf(error: unknown, failures: number): number {
  const asked = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
  const longest = failures === 0 ? 0 : Math.min(10_000, 100 * 2 ** failures);
  return Math.max(Math.min(longestAskedMs, asked), longest * (0.5 + Math.random() / 2));
}
