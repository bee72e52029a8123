/** The demo's steps as listr2 shows them, each with what it is at and the time it took. */

import { Listr, type ListrTask, PRESET_TIMER } from 'listr2';
import { ensureBinaries } from '../cluster/build/binaries.ts';
import { ensureImages } from '../cluster/build/images.ts';
import { ensurePackages } from '../cluster/build/packages.ts';
import type { Progress } from '../cluster/run/cache.ts';
import type { Asked } from './arguments.ts';
import { note } from './diary.ts';
import { setUpAirflow, setUpDowndraft } from './install.ts';
import { cut, inWords, isLive, width } from './lines.ts';
import { images, openOwn } from './own.ts';
import { type Found, versions } from './site.ts';
import { openTheirs, whatStandsInTheWay } from './theirs.ts';
import { commandOf, goBack } from './upgrade.ts';
import type { Show } from './watching.ts';

/** Where a step shows what it is at. After its view has ended it shows nothing: listr2 throws then. */
interface Shown {
  say: Show;
  rename(title: string): void;
}

interface Step {
  title: string;
  work(found: Found, shown: Shown): Promise<void>;
}

/** Carries out all steps, and writes what they find into `found`. Throws the first error, or `signal`'s reason at once. */
export async function carryOut(asked: Asked, found: Found, signal: AbortSignal): Promise<void> {
  const steps = [...(asked.context === undefined ? ownSteps() : theirSteps(asked)), ...sharedSteps(signal)];
  const tasks = steps.map((step) => taskOf(step, signal));
  await new Listr<Found>(tasks, {
    registerSignalListeners: false,
    rendererOptions: { timer: PRESET_TIMER, showErrorMessage: false, collapseErrors: false },
    fallbackRenderer: 'simple',
    fallbackRendererCondition: !isLive(),
    fallbackRendererOptions: { timer: PRESET_TIMER },
  }).run(found);
}

function taskOf({ title, work }: Step, signal: AbortSignal): ListrTask<Found> {
  return {
    title,
    task: async (found, view) => {
      note(title);
      const began = Date.now();
      let over = false;
      const say = (text: string) => {
        if (!over) view.output = text;
      };
      const rename = (other: string) => {
        if (!over) view.title = other;
      };
      found.running = work(found, { say, rename });
      // The view ends at once; what was begun ends by itself, or by the one who aborts.
      await Promise.race([found.running, whenAborted(signal)]).finally(() => {
        over = true;
      });
      note(`${title}: ${inWords(Date.now() - began)}`);
    },
  };
}

async function whenAborted(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    const end = () => reject(new Error(String(signal.reason)));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

function ownSteps(): Step[] {
  return [
    {
      title: "The node's Debian packages",
      work: (_, shown) => ticking(shown, async (say) => await ensurePackages(say)),
    },
    {
      title: 'Kubernetes, etcd, helm and CoreDNS, built from their Go modules',
      work: (_, shown) => ticking(shown, async (say) => void (await ensureBinaries(say))),
    },
    {
      title: `Images of Airflow ${versions.newer} and ${versions.older}, PostgreSQL and downdraft`,
      work: (_, shown) => ticking(shown, async (say) => void (await ensureImages(undefined, say, images))),
    },
    {
      title: 'A cluster of one node',
      work: (found, shown) =>
        ticking(shown, async (say) => {
          Object.assign(found, await openOwn(say));
          if (found.again) shown.rename('A cluster of one node: the one of the demo before still runs');
        }),
    },
  ];
}

function theirSteps({ context = '', images }: Asked): Step[] {
  return [
    {
      title: `The cluster of the context ${context}`,
      work: async (found) => {
        found.site = await openTheirs(context, images);
        const wrong = await whatStandsInTheWay(found.site.place);
        if (wrong.length > 0) throw new Error(wrong.join('; '));
      },
    },
  ];
}

function sharedSteps(signal: AbortSignal): Step[] {
  return [
    {
      title: 'downdraft, from manifests/',
      work: async (found, shown) => {
        found.installing = true;
        await ticking(shown, async (say) => await setUpDowndraft(found.site!, say));
      },
    },
    {
      title: `Airflow ${versions.newer}, from manifests/example`,
      work: async ({ site }, shown) => await setUpAirflow(site!, shown.say, signal),
    },
    {
      title: `helm upgrade to ${versions.older}, and what downdraft does`,
      work: async (found, shown) => {
        shown.rename(cut(commandOf(found.site!), width() - 12));
        await goBack(found.site!, found, shown.say, signal);
      },
    },
  ];
}

/** Shows each message, and on a terminal how long it has been going on. */
async function ticking(shown: Shown, work: (say: Progress) => Promise<void>): Promise<void> {
  let message = '';
  let since = Date.now();
  const show = () => {
    const time = Date.now() - since > 3000 ? `  ${inWords(Date.now() - since)}` : '';
    if (message) shown.say(`${cut(message, width() - 20)}${isLive() ? time : ''}`);
  };
  const clock = isLive() ? setInterval(show, 1000) : undefined;
  try {
    await work((said) => {
      if (said === message) return;
      note(said);
      message = said;
      since = Date.now();
      show();
    });
  } finally {
    clearInterval(clock);
  }
}
