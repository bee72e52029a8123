/** A controller that dies at one of its writes, and the points at which it can. */
import { startLoop } from '../../src/controller/loop.ts';
import type { Reads, Writes } from '../../src/controller/ports.ts';
import { reconcile } from '../../src/controller/reconcile.ts';

/** One write of a run, named so that the same one is found again in another run: what it writes, and the how-manieth. */
export type Point = string;

export interface Death {
  point: Point;
  when: 'before' | 'after';
}

/** What a run of one or more controllers wrote, in order, and how often one of them died. */
export interface Diary {
  written: Point[];
  deaths: number;
  /** How much was written when somebody aborted it. */
  calledOffAt?: number;
}

const dead = new Promise<never>(() => {});

/** Wraps every write there is, so that none can be missed: notes it, and dies there when that death is the next one. */
export function mortal(writes: Writes, diary: Diary, deaths: readonly Death[], die: () => void): Writes {
  let alive = true;
  const end = () => {
    alive = false;
    diary.deaths += 1;
    die();
    return dead;
  };
  return Object.fromEntries(
    Object.entries(writes).map(([name, write]) => [
      name,
      async (...args: unknown[]) => {
        if (!alive) return dead;
        const point = pointOf(name, args, diary.written);
        const next = deaths[diary.deaths];
        const due = next?.point === point ? next.when : undefined;
        if (due === 'before') return end();
        diary.written.push(point);
        const answer = await (write as (...a: unknown[]) => Promise<unknown>)(...args);
        return due === 'after' ? end() : answer;
      },
    ]),
  ) as unknown as Writes;
}

/** Calls `before` with each write's name, and waits for it, before the write is made. */
export function eachWrite(writes: Writes, before: (name: string) => Promise<void> | void): Writes {
  const wrapped = Object.entries(writes).map(([name, write]) => [
    name,
    async (...args: unknown[]) => {
      await before(name);
      return (write as (...a: unknown[]) => Promise<void>)(...args);
    },
  ]);
  return Object.fromEntries(wrapped) as unknown as Writes;
}

function pointOf(name: string, args: unknown[], before: Point[]): Point {
  const point = `${name} ${args.map(essence).filter(Boolean).join(' ')}`.trim();
  return `${point} #${before.filter((p) => p.startsWith(`${point} #`)).length + 1}`;
}

/** What the API server does for it: the write's name, the kind of object where there are several, and what is recorded. */
export function kindOf(point: Point): string {
  const [name] = point.split(' ', 1);
  const of = / ([A-Z][A-Za-z]+)\//.exec(point)?.[1] ?? (/ record /.test(point) ? 'record' : '');
  return `${name} ${of}`.trim();
}

/** Of an argument what is the same in every run: no namespace, uid, time, or random end of a name. */
function essence(argument: unknown, index: number): string {
  if (typeof argument === 'string') {
    if (index === 0 || /^[0-9a-f-]{36}$/.test(argument) || argument.length > 80 || argument.includes('T')) return '';
    return shorn(argument);
  }
  const given = argument as Record<string, never> & {
    record?: object;
    reason?: string;
    kind?: string;
    image?: string;
    metadata?: { name: string };
  };
  if (given.record) return `record ${Object.keys(given.record)}`;
  if (given.reason) return given.reason;
  if (given.image) return given.image.replace(/^[^/]*/, '');
  return given.kind && given.metadata ? shorn(`${given.kind}/${given.metadata.name}`) : '';
}

function shorn(name: string): string {
  return name.replace(/-[0-9a-f]{6}\b/, '').replace(/-[0-9a-z]{6,10}-[0-9a-z]{5}$/, '');
}

export interface Life {
  key: { namespace: string; name: string };
  reads: Reads;
  writes: Writes;
  token: number;
  signal: AbortSignal;
  /** What could not be done and is tried again. */
  onTrouble(error: unknown): void;
  pollMs?: number;
}

/** A controller that starts from nothing and looks after one release until the signal. */
export function startLife({ key, reads, writes, token, signal, onTrouble, pollMs = 150 }: Life): void {
  const settings = {
    repositories: ['apache/airflow'],
    now: () => new Date(),
    runner: 'Copy' as const,
    commands: { probe: ['probe'], triggers: ['triggers'], runner: ['runner'] },
    token,
    log: () => {},
    told: new Map<string, string>(),
    failed: new Map(),
    unanswered: new Map(),
    examined: new Map(),
    asked: new Map(),
  };
  const loop = startLoop({
    reconcile: (one) => reconcile(one, reads, writes, settings),
    pollMs,
    idleMs: 1000,
    workers: 4,
    signal,
    log: (fields) => onTrouble(fields.err),
  });
  loop.enqueue(key);
}
