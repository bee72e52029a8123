/**
 * Reads Helm's release records in a thread of its own: for some texts a YAML parser takes seconds, and every review of the
 * guard would wait. One at a time, with its own limit of memory, and ended when it takes too long.
 */
import { Worker } from 'node:worker_threads';
import type { Question, RecordRead } from './record-thread.ts';

/** Several times what the largest charts need. When it is not enough, the thread ends and the process does not. */
const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 2 };

/** A deploy of several releases shares one thread; after it the memory is given back. */
const idleMs = 10_000;

// As this file: TypeScript, or what was made of it.
const file = new URL(import.meta.url.endsWith('.ts') ? './record-thread.ts' : './record-thread.js', import.meta.url);

let thread: Worker | undefined;
let busy = false;
let leaving: NodeJS.Timeout | undefined;

/** What is in a record; undefined when it is none, when another is being read, or when the signal came first. */
export async function readRecord(question: Question, signal: AbortSignal): Promise<RecordRead | undefined> {
  if (busy) return undefined;
  thread ??= started();
  const worker = thread;
  busy = true;
  clearTimeout(leaving);
  const { promise, resolve } = Promise.withResolvers<RecordRead | undefined>();
  const done = (read?: RecordRead) => {
    worker.off('message', done).off('error', giveUp).off('exit', giveUp);
    signal.removeEventListener('abort', giveUp);
    leaving = setTimeout(() => end(worker), idleMs).unref();
    busy = false;
    resolve(read);
  };
  const giveUp = () => {
    end(worker);
    done();
  };
  // Out of memory is an error of the thread.
  worker.on('message', done).on('error', giveUp).on('exit', giveUp);
  signal.addEventListener('abort', giveUp);
  worker.postMessage(question);
  return await promise;
}

function started(): Worker {
  const worker = new Worker(file, { resourceLimits, env: {}, execArgv: [] });
  // Also when nobody is waiting for an answer.
  worker.on('error', () => end(worker));
  worker.unref();
  return worker;
}

function end(worker: Worker): void {
  if (thread === worker) thread = undefined;
  void worker.terminate();
}
