/**
 * The loop: one queue of releases, each reconciled by one worker at a time, looked at again at once when something
 * changed and by and by while something is awaited.
 */
import type { Act } from '../release/model/act.ts';
import { isProgress } from '../release/model/waits.ts';

export interface Key {
  namespace: string;
  name: string;
}

export interface LoopSettings {
  /** Looks at one release; what it ended with decides when to look again. */
  reconcile(key: Key): Promise<Act>;
  /** Milliseconds between looks while a run is moving. */
  pollMs: number;
  /** Most milliseconds between looks while the same thing is awaited for long, and after errors. */
  idleMs: number;
  workers: number;
  signal: AbortSignal;
  log(fields: Record<string, unknown>, message: string): void;
}

/** Starts the loop; `enqueue` may be called at any time and any number of times. Ends with the signal. */
export function startLoop(settings: LoopSettings): { enqueue(key: Key): void } {
  const waiting = new Map<string, Key>();
  const running = new Set<string>();
  const pace = new Map<string, number>();
  const timers = new Map<string, NodeJS.Timeout>();

  const enqueue = (key: Key) => {
    if (settings.signal.aborted) return;
    const id = `${key.namespace}/${key.name}`;
    clearTimeout(timers.get(id));
    timers.delete(id);
    waiting.set(id, key);
    work();
  };

  const work = () => {
    for (const [id, key] of waiting) {
      if (settings.signal.aborted || running.size >= settings.workers) return;
      if (running.has(id)) continue;
      waiting.delete(id);
      running.add(id);
      void look(id, key).finally(() => {
        running.delete(id);
        work();
      });
    }
  };

  const look = async (id: string, key: Key) => {
    const again = (ms: number) => {
      if (settings.signal.aborted || timers.has(id) || waiting.has(id)) return;
      timers.set(
        id,
        setTimeout(() => enqueue(key), ms),
      );
    };
    try {
      const act = await settings.reconcile(key);
      if (act.act === 'rest') return void pace.delete(id);
      const quick = act.act === 'wait' && isProgress(act.reason);
      const ms = quick ? settings.pollMs : Math.min((pace.get(id) ?? settings.pollMs / 2) * 2, settings.idleMs);
      pace.set(id, ms);
      again(ms);
    } catch (error) {
      if (settings.signal.aborted) return;
      const ms = Math.min((pace.get(id) ?? settings.pollMs / 2) * 2, settings.idleMs);
      pace.set(id, ms);
      settings.log({ ...key, err: error, againInMs: ms }, 'could not reconcile, trying again');
      again(ms);
    }
  };

  settings.signal.addEventListener('abort', () => {
    for (const timer of timers.values()) clearTimeout(timer);
  });
  return { enqueue };
}
