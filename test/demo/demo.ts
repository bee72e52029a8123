/**
 * npm run demo: sets up all it needs and shows the main job, helm upgrade from Airflow 3.2.1 to 3.1.8 under downdraft.
 *
 * 1. Exit codes: 0 shown or stopped, 1 failed or impossible here, 2 wrong arguments, 130 Ctrl-C.
 * 2. One demo at a time (a lock); its cluster stays, and the next demo takes it again (demo/own.ts).
 */

import { join } from 'node:path';
import { cacheDir } from '../cluster/run/cache.ts';
import { clearCluster } from '../cluster/run/leftovers.ts';
import { type Lock, tryLock } from '../cluster/run/lock.ts';
import { type Asked, help, readArguments } from './arguments.ts';
import { beginDiary, diaryPath, note } from './diary.ts';
import { tidyUp } from './interruption.ts';
import { gist } from './lines.ts';
import { machineLacks } from './machine.ts';
import { ownClusters } from './own.ts';
import { type Found, namespaces } from './site.ts';
import { carryOut } from './steps.ts';
import { afterFailure, summary } from './summary.ts';
import { intentions, openTheirs, removeTheirs } from './theirs.ts';

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  let asked: Asked;
  try {
    asked = readArguments(args);
  } catch (error) {
    console.error(`${(error as Error).message}; npm run demo -- --help tells what there is`);
    return 2;
  }
  if (asked.action === 'help') {
    process.stdout.write(help);
    return 0;
  }
  const lacks = asked.context === undefined && asked.action === 'run' ? await machineLacks() : [];
  if (lacks.length > 0) {
    console.error(['The demo can’t run on this machine:', ...lacks.map((line) => `  ${line}`)].join('\n'));
    console.error('A cluster that is there already can be used instead: npm run demo -- --help');
    return 1;
  }
  return await alone(async () => (asked.action === 'stop' ? await stop(asked) : await show(asked)));
}

/** Runs `act` unless another demo is running. */
async function alone(act: () => Promise<number>): Promise<number> {
  let lock: Lock | undefined;
  try {
    lock = await tryLock(join(cacheDir(), 'locks', 'demo'));
    if (!lock) {
      console.error('another demo is running on this machine: end that one first (Ctrl-C where it runs)');
      return 1;
    }
    beginDiary();
    return await act();
  } catch (error) {
    console.error(gist(error));
    return 1;
  } finally {
    await lock?.release();
  }
}

async function stop({ context, images }: Asked): Promise<number> {
  if (context !== undefined) {
    const site = await openTheirs(context, images);
    const removed = await removeTheirs(site, (message) => console.log(message));
    console.log(removed.length > 0 ? `removed ${removed.join(' and ')}` : 'nothing of the demo is there');
    return 0;
  }
  const clusters = await ownClusters();
  for (const { id, dir } of clusters) {
    console.log(`ending the demo's cluster ${id}`);
    await clearCluster(id, dir);
  }
  console.log(clusters.length > 0 ? 'ended' : 'no cluster of the demo is there');
  console.log(`What was built for it stays in ${cacheDir()}, for the next time; the folder may be deleted.`);
  return 0;
}

async function show(asked: Asked): Promise<number> {
  const found: Found = {};
  const began = Date.now();
  const interrupted = new AbortController();
  let since = 0;
  const onSignal = () => {
    // One Ctrl-C comes twice: from the terminal, and passed on by npm.
    if (interrupted.signal.aborted && Date.now() - since > 1000) process.exit(130);
    if (interrupted.signal.aborted) return;
    since = Date.now();
    interrupted.abort('interrupted');
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  if (asked.context !== undefined) console.log(intentions(asked.context));
  try {
    await carryOut(asked, found, interrupted.signal);
    console.log(summary(found, Date.now() - began).join('\n'));
    return 0;
  } catch (error) {
    if (interrupted.signal.aborted) console.log('\nEnding; Ctrl-C again to leave at once.');
    await tidyUp(found.running, found.site !== undefined);
    if (interrupted.signal.aborted) {
      console.log((await left(asked, found)).join('\n'));
      return 130;
    }
    note(error instanceof Error ? `${error.stack}\n${String(error.cause ?? '')}` : String(error));
    console.error(afterFailure(gist(error), diaryPath(), await left(asked, found)).join('\n'));
    return 1;
  }
}

/** What is there when the demo ends before its end, and how to take it away. */
async function left({ context }: Asked, { site, installing, before }: Found): Promise<string[]> {
  if (context !== undefined) {
    return installing
      ? [`What was installed is still there; to take it away: ${site!.stop}`]
      : ['Nothing was installed.'];
  }
  const [own] = await ownClusters();
  if (!own) return ['No cluster is left. What was built so far is kept for the next time.'];
  return [
    "The demo's cluster still runs, and npm run demo goes on with it:",
    ...(site?.shell ?? [`export KUBECONFIG=${own.dir}/kubeconfig`]).map((line) => `  ${line}`),
    ...(before
      ? [`A downgrade that has begun goes on by itself: kubectl -n ${namespaces.airflow} get downgrades`]
      : []),
    'To take it away: npm run demo -- --stop',
  ];
}
