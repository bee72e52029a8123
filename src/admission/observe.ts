/**
 * What a verdict needs is looked at within one time budget: the stored workload, the run and the learned images side by
 * side, then the database by the stored workload's own connection. Whatever fails or takes too long is "not observed",
 * which is a hold and never an allow.
 */
import { knowImage } from '../release/images.ts';
import type { WorkloadObject } from '../release/objects.ts';
import { nameOf, shorten } from '../release/reasons.ts';
import { judge, type Question, type Verdict } from '../release/verdict.ts';
import { readWorkload } from '../release/workload.ts';
import type { Ports } from './ports.ts';

/** Whose image is judged, against which stored workload's database. */
export interface Subject {
  workload: Question['workload'];
  image: string;
  declaredVersion: string | undefined;
  /** Main image before the hold, if there is one. */
  from?: string | undefined;
  /** Looks up the workload whose connection is used; undefined when nothing of the release waits. */
  connection(signal: AbortSignal): Promise<WorkloadObject | undefined>;
}

/** Judges an image for a subject. Never throws: what can't be looked at is a hold, DatabaseUnreadable. */
export async function judgeWithin(subject: Subject, ports: Ports): Promise<Verdict> {
  const signal = AbortSignal.timeout(ports.settings.budgetMs);
  const { workload, image } = subject;
  try {
    const [stored, run, learned] = await Promise.all([
      look('the stored workload', subject.connection(signal), signal, ports),
      look('whether a downgrade is under way', ports.run(workload.namespace, workload.release, signal), signal, ports),
      look('what is known of images', ports.learnedImages(signal), signal, ports),
    ]);
    if (!stored) return { verdict: 'allow', reason: 'NothingHeld' };
    const database = await look('the database', ports.database(stored, containerOf(stored), signal), signal, ports);
    const known = knowImage(image, {
      learned: Object.hasOwn(learned, image) ? learned[image] : undefined,
      repositories: ports.settings.repositories,
      declared: subject.declaredVersion,
    });
    return judge({ workload, image: known, database, run, from: subject.from });
  } catch (error) {
    return notObserved(workload, image, error);
  }
}

function containerOf(stored: WorkloadObject): string {
  return readWorkload(stored)?.container ?? stored.spec.template.spec.containers[0]?.name ?? '';
}

/** Waits for one look until the budget ends, also when the port does not listen to the signal. */
async function look<T>(what: string, looking: Promise<T>, signal: AbortSignal, { settings }: Ports): Promise<T> {
  const tooLate = `${what} was not told within ${settings.budgetMs / 1000} s`;
  const { promise: end, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new Error(tooLate));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    return await Promise.race([looking, end]);
  } catch (error) {
    if (signal.aborted) throw new Error(tooLate);
    throw new Error(`${what} can't be read: ${firstLine(error)}`);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function notObserved(workload: Question['workload'], image: string, error: unknown): Verdict {
  const tag = image.slice(image.lastIndexOf('/') + 1);
  const why = `${firstLine(error)}, so whether image ${tag} fits the database is not known`;
  const message = `${nameOf(workload)}: ${why}; the old pods keep serving, no action needed unless it lasts`;
  return { verdict: 'hold', reason: 'DatabaseUnreadable', message };
}

/** One line of an error's own words. */
function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return shorten(text.split('\n', 1)[0] ?? '', 160);
}
