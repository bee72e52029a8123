/** What is in a database, table by table, so that two moments, or a database and its copy, can be compared. */
import { type Place, psql } from './place.ts';

/** Tables that a step of the runner holds for itself at this moment are left out: reading them would wait for it. */
const counted = `
SELECT c.relname || ' ' || (xpath('/row/told/text()', query_to_xml(format(
  'SELECT count(*) || '' rows '' || coalesce(md5(string_agg(t::text, '''' ORDER BY t::text)), '''') AS told FROM public.%I t',
  c.relname), false, true, '')))[1]
FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND NOT EXISTS (
  SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid())
ORDER BY 1`;

/** Every table with the number of its rows and a checksum over them. */
export async function contentsOf(
  place: Place,
  namespace: string,
  release: string,
  database = 'postgres',
): Promise<Record<string, string>> {
  const lines = (await psql(place, namespace, release, counted, database)).trim().split('\n');
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
}

/** The tables of `before` that are otherwise, or not there, in `after`. */
export function changedIn(before: Record<string, string>, after: Record<string, string>): string[] {
  return Object.keys(before).filter((table) => after[table] !== before[table]);
}
