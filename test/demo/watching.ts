/** Keeps looking at the release while something long goes on, and shows what it sees. */

import { type Client, connect } from '../../src/cluster/client/client.ts';
import { list } from '../../src/cluster/client/lists.ts';
import { type DowngradeObject, downgradeApi } from '../../src/release/kubernetes/downgrade.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { Hopeless, waitFor } from '../cluster/run/wait.ts';
import { note } from './diary.ts';
import { isLive, width } from './lines.ts';
import { namespaces, release, type Site } from './site.ts';
import { brief, frame, type Seen } from './view.ts';

/** Takes a new frame, or, where output is no terminal, a new line. */
export type Show = (text: string) => void;

/** Lines that the steps above and below the view take, and its indentation. */
const ROWS_OUTSIDE = 12;

const INDENTATION = 6;
const EVERY_MS = 1000;

/** Looks every second, and shows, until `isOver` says so. Throws, with what was last seen, after `timeoutMs`. */
export async function watchUntil(
  site: Site,
  what: string,
  options: { timeoutMs: number; helm: string[]; show: Show; signal: AbortSignal; isOver(seen: Seen): boolean },
): Promise<Seen> {
  const client = connect({ kubeconfig: site.kubeconfig });
  const { helm, show, signal, isOver } = options;
  let last = '';
  try {
    return await waitFor(
      what,
      options.timeoutMs,
      async () => {
        if (signal.aborted) throw new Hopeless(String(signal.reason));
        const seen = { ...(await look(client)), helm };
        const now = brief(seen);
        if (now !== last) note(now);
        if (isLive()) show(frame(seen, new Date(), width() - INDENTATION, rows()));
        else if (now !== last) show(now);
        last = now;
        return isOver(seen) ? seen : undefined;
      },
      EVERY_MS,
    );
  } catch (error) {
    throw new Error(`${(error as Error).message}${last ? `; last seen: ${last}` : ''}`, { cause: error });
  } finally {
    client.close();
  }
}

function rows(): number {
  return (process.stdout.rows ?? 40) - ROWS_OUTSIDE;
}

async function look(client: Client): Promise<Omit<Seen, 'helm'>> {
  const { group, version, plural } = downgradeApi;
  const [pods, downgrades] = await Promise.all([
    list(client, `/api/v1/namespaces/${namespaces.airflow}/pods`, (pod: PodObject) => pod),
    list(client, `/apis/${group}/${version}/namespaces/${namespaces.airflow}/${plural}`, (one: DowngradeObject) => one),
  ]);
  const own = downgrades.filter(({ spec }) => spec.release === release);
  own.sort((a, b) => (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''));
  return { pods, downgrade: own.at(-1) };
}
