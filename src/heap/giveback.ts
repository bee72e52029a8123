/**
 * Large bodies and long lists leave tens of MiB of garbage, which V8 collects when it needs the room and not before. Once
 * all is quiet again it is given back, so that a replica that has seen a burst does not sit on it for hours.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** As much as makes a collection, of some 30 ms, worth it. */
const worthBytes = 4 * 1024 * 1024;
const largeBytes = 128 * 1024;
const quietMs = 500;
/** Longer than the controller waits between two looks at a release that is being downgraded: those lists follow each other. */
const quietAfterListMs = 2_500;

let since = 0;
let timer: NodeJS.Timeout | undefined;
type Collect = (how: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;
let collect: Collect | undefined;

/** Told of every body's size. */
export function afterBody(bytes: number): void {
  if (bytes >= largeBytes) giveBackAfter(bytes, quietMs);
}

/** Told of the size of every page of a list that was read. */
export function afterPage(bytes: number): void {
  giveBackAfter(bytes, quietAfterListMs);
}

function giveBackAfter(bytes: number, ms: number): void {
  since += bytes;
  if (since < worthBytes) return;
  clearTimeout(timer);
  timer = setTimeout(giveBack, ms).unref();
}

/** As much as may lie about of bodies that were refused; who sends those does not stop, so that it is never quiet. */
const mostRefused = 8 * 1024 * 1024;
let refused = 0;

/** Told of the size of every body that was given up before it was read. */
export function afterRefused(bytes: number): void {
  refused += bytes;
  if (refused >= mostRefused) giveBack();
}

function giveBack(): void {
  clearTimeout(timer);
  timer = undefined;
  since = 0;
  refused = 0;
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as Collect;
  }
  // The flavor makes V8 give pages back to the system too.
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
