/** What the demo ends with: what was shown, where to look, how to stop. */

import type { RunStatus } from '../../src/release/model/run.ts';
import { cut, inWords, styled, width, wrap } from './lines.ts';
import { type Found, namespaces, release, versions } from './site.ts';
import { warnings } from './view.ts';

/** The text, a line per entry. */
export function summary(found: Found, tookMs: number): string[] {
  const { site, downgrade, helm } = found;
  const kubectl = ['kubectl', ...site!.flags, '-n', namespaces.airflow].join(' ');
  const name = downgrade!.metadata.name;
  return [
    '',
    styled('bold', `Airflow is back at ${versions.older}, by one helm upgrade, after ${inWords(tookMs)}.`),
    '',
    ...table(found),
    '',
    ...outageOf(downgrade!.status?.record ?? {}),
    `  Downgrade  ${name} (${downgrade!.status?.phase}, ${downgrade!.status?.reason})`,
    '',
    styled('bold', 'What helm said'),
    ...saidBy(helm?.stdout ?? '', helm?.stderr ?? ''),
    '',
    styled('bold', 'Where to look'),
    ...site!.shell.map((line) => `  ${line}`),
    `  ${kubectl} get downgrades`,
    `  ${kubectl} describe downgrade ${name}`,
    `  ${['kubectl', ...site!.flags].join(' ')} -n ${namespaces.downdraft} logs deployment/downdraft --all-pods --prefix`,
    '',
    styled('bold', "Airflow's own page, as user admin with the password admin"),
    `  ${kubectl} port-forward service/${release}-api-server 8080`,
    '  and open http://localhost:8080',
    '',
    styled('bold', 'To stop'),
    `  ${site!.stop}`,
    ...(site!.shell.length > 0
      ? ['  The cluster stays until then; npm run demo goes on with it, and is quicker.']
      : []),
  ];
}

function table({ before, after, told }: Found): string[] {
  const rows = [
    ['', 'before', 'after'],
    ['Airflow', told!.before!, told!.after!],
    ['core', before!.core, after!.core],
    ['FAB', before!.fab, after!.fab],
  ];
  return rows.map(([name, from, to]) => `  ${name!.padEnd(10)} ${from!.padEnd(14)} ${to}`.trimEnd());
}

/** How long Airflow was away, and where that time went. */
function outageOf(record: RunStatus): string[] {
  const { drainStartedAt, drainedAt, verifiedAt, completedAt, outageSeconds } = record;
  const between = (from: string | null | undefined, to: string | null | undefined) =>
    from && to ? inWords(Date.parse(to) - Date.parse(from)) : '?';
  const parts = [
    `${between(drainStartedAt, drainedAt)} for its pods to end`,
    `${between(drainedAt, verifiedAt)} for the schema`,
    `${between(verifiedAt, completedAt)} for ${versions.older} to start`,
  ];
  return [`  outage     ${inWords((outageSeconds ?? 0) * 1000)}`, `             ${parts.join(', ')}`];
}

/** helm's own words: the warnings, and the first lines of its answer; its notes are the chart's. */
function saidBy(stdout: string, stderr: string): string[] {
  const lines = (text: string) => text.split('\n').map((line) => line.trimEnd());
  const answer = lines(stdout).slice(0, lines(stdout).indexOf('NOTES:') + 1 || undefined);
  const told = [...warnings(lines(stderr)), ...answer.filter((line) => line !== 'NOTES:' && line !== '')];
  return told.flatMap((line) => wrap(line, width() - 4)).map((line) => `  ${line}`);
}

/** Where a failure is told in full, and what is left. */
export function afterFailure(what: string, log: string, left: string[]): string[] {
  return ['', `${styled('red', 'The demo failed:')} ${cut(what, 300)}`, `All of it: ${log}`, ...left];
}
