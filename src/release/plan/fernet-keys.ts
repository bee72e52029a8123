/**
 * Fernet keys: connections, variables and triggers are encrypted with the configuration's key, of which Airflow keeps a
 * list: the first encrypts, each may open. When the target is given another, nothing fails at once; its tasks do. Pure.
 */
import type { Inspection } from '../model/runner.ts';

type Keys = Pick<Inspection, 'fernetKeys' | 'encrypted'>;

/** What the older version could not open, as a loss that somebody agrees to; else a note of what is not known. */
export function keysOfPlan(
  { fernetKeys: running, encrypted = {} }: Keys,
  target: readonly string[] | undefined,
  version: string,
): { losses: { what: string; count: number }[]; notes: string[] } {
  const counts = Object.values(encrypted);
  const nothing = counts.length > 0 && counts.every((count) => count === 0);
  if (nothing || running === undefined || running?.length === 0) return note();
  if (running === null || target === undefined)
    return note(`whether ${version} is given the same Fernet key as the running image is not known`);
  const [encrypts, ...others] = running;
  if (!target.includes(encrypts!)) return locked(encrypted, version, target.length === 0);
  if (others.every((key) => target.includes(key))) return note();
  return note(
    `${version} is not given all of the running image's older Fernet keys: what was not encrypted again since they were changed, it can't open`,
  );
}

function locked(encrypted: Record<string, number | null>, version: string, none: boolean) {
  const tables = Object.keys(encrypted).filter((table) => encrypted[table] !== 0);
  const count = tables.reduce((sum, table) => sum + (encrypted[table] ?? 0), 0);
  const uncounted = tables.filter((table) => encrypted[table] === null);
  const what = `values that ${version} can't open, since it is given ${none ? 'no Fernet key' : 'another Fernet key'} than the running image; give it that key as well (AIRFLOW__CORE__FERNET_KEY=its own,the other), and delete this Downgrade: a new one looks again`;
  // Seen with 3.1.8: the triggerer itself ends with InvalidToken, whichever task the trigger is of.
  const triggers = tables.includes('trigger') ? '; its triggerer ends on the first such trigger' : '';
  const notes = uncounted.length > 0 ? [`not counted, of ${uncounted.join(', ')}: ${what}${triggers}`] : [];
  return {
    losses: count > 0 ? [{ what: `${count} rows of ${tables.join(', ')}: ${what}${triggers}`, count }] : [],
    notes,
  };
}

function note(...notes: string[]) {
  return { losses: [], notes };
}
