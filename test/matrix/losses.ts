/** Which words of a plan tell of which table: rows that are gone without such words make a pair fail. */
import type { Difference } from './counts.ts';

/** Words of src/inside/downdraft/inspect/hazards.json that announce that rows of these tables go. */
const announced: readonly { tables: readonly string[]; by: RegExp }[] = [
  { tables: ['deadline'], by: /deadlines of runs/ },
  { tables: ['asset_watcher'], by: /asset watchers|triggers that watch assets/ },
  { tables: ['asset_trigger'], by: /triggers that watch assets/ },
  { tables: ['hitl_detail', 'hitl_detail_history'], by: /questions to people/ },
  { tables: ['dag_version', 'serialized_dag', 'dag_code'], by: /Dag versions/ },
  { tables: ['backfill', 'backfill_dag_run'], by: /backfills/ },
  { tables: ['task_instance_history'], by: /former attempts|of runs without a logical date/ },
  { tables: ['dag_run', 'dag_run_note', 'dagrun_asset_event'], by: /runs without a logical date/ },
  {
    tables: [
      'task_instance',
      'xcom',
      'rendered_task_instance_fields',
      'task_map',
      'task_reschedule',
      'task_instance_note',
    ],
    by: /of runs without a logical date/,
  },
  { tables: ['team', 'dag_bundle_team'], by: /teams/ },
  { tables: ['dag_favorite'], by: /favorite/ },
  { tables: ['revoked_token'], by: /revoked logins/ },
  { tables: ['task_state_store', 'task_state'], by: /task state store/ },
  { tables: ['asset_state_store', 'asset_state'], by: /asset state store/ },
];

/** Tables that hold nothing of anybody's: where their rows are afterwards. */
const elsewhere: Record<string, string> = {
  callback: 'what is of a deadline goes back into it (e812941398f4)',
  deadline_alert: 'its rows go back into the serialized Dags (55297ae24532)',
  dag_bundle: 'where Dags were read from: written anew by each Airflow that has bundles',
  serialized_dag: 'to 2.x: what was written by the next parse in any case',
  asset_active: 'which assets are in use: written anew when Dags are parsed',
};

/** Differences that the plan's losses do not tell of. */
export function untold(found: readonly Difference[], losses: readonly { what: string; count: number }[]): string[] {
  const isTold = ({ table }: Difference) =>
    table in elsewhere ||
    announced.some(
      ({ tables, by }) => tables.includes(table) && losses.some(({ what, count }) => count > 0 && by.test(what)),
    );
  return found
    .filter((difference) => !isTold(difference))
    .map(
      ({ table, before, after }) =>
        `${table} had ${before} rows and has ${after ?? 'no table'}, and the plan did not tell`,
    );
}
