/** The figures as plain text, and what they should be. */
import type { Round } from './load.ts';
import type { Results } from './measure.ts';
import { bigCluster, restLimitMiB, type Taken } from './memory.ts';
import type { AmongPods } from './realpods.ts';

export interface Target {
  what: string;
  wanted: string;
  measured: number;
  met: boolean;
}

const ours = 'downdraft';
const go = 'controller-runtime';

/** Each target with what was measured. */
export function targetsOf({ figures, memory }: Results): Target[] {
  const of = (name: string, server = ours) => figures[name]![server]!;
  const sizes = ['8 KB', '1 MB'] as const;
  return [
    // Most of a small review is HTTPS, which a bare server does no more than 2.6 times as often as Go's webhook answers.
    atLeast("throughput / Go's, 8 KB", of('8 KB').throughput / of('8 KB', go).throughput, 1),
    atLeast("throughput / Go's, 1 MB", of('1 MB').throughput / of('1 MB', go).throughput, 2.5),
    below("processor time per review / Go's, 8 KB", of('8 KB').cpuMs / of('8 KB', go).cpuMs, 0.5),
    ...sizes.flatMap((size) => [
      below(`p99 / Go's, ${size}`, of(size).p99Ms / of(size, go).p99Ms, 1 / 3),
      atLeast(`throughput / Pepr's, ${size}`, of(size).throughput / of(size, 'Pepr').throughput, 3),
    ]),
    below('MiB resident after 1 MB bodies', memory[ours]!.afterLarge, 120),
    below('ms p99 of a hold with a database read', of('8 KB held, database read').p99Ms, 50),
  ];
}

function atLeast(what: string, measured: number, wanted: number): Target {
  return { what, wanted: `at least ${wanted}`, measured, met: measured >= wanted };
}

function below(what: string, measured: number, wanted: number): Target {
  return { what, wanted: `at most ${Number(wanted.toFixed(2))}`, measured, met: measured <= wanted };
}

/** The targets of a big cluster. */
export function memoryTargets(taken: Taken[], limitMiB: number): Target[] {
  return taken.flatMap(({ role, rest, peak }) => [
    below(`MiB resident of a ${role} at rest in a big cluster`, rest, restLimitMiB),
    below(`MiB resident of a ${role} at most in a big cluster`, peak, limitMiB),
  ]);
}

/** What each role took in the big cluster. */
export function memoryTable(taken: Taken[]): string[] {
  const { releases, pods, crowded, foreign } = bigCluster;
  const rows = taken.map(({ role, rest, peak, readySeconds, quietSeconds }) => [
    role,
    ...[rest, peak, readySeconds, quietSeconds].map((figure) => figure.toFixed(0)),
  ]);
  return [
    `a big cluster: ${releases} releases, ${pods} pods (${crowded} in one namespace), ${foreign} Deployments of others`,
    '',
    ...aligned([['resident MiB', 'at rest', 'most ever', 's to ready', 's to quiet'], ...rows], 1),
    '',
  ];
}

/** What a leader took that started beside a real API server with so many pods. */
export function podsTable({ rest, peak, readySeconds, quietSeconds, pods, bytes }: AmongPods): string[] {
  const row = [rest, peak, readySeconds, quietSeconds].map((figure) => figure.toFixed(0));
  return [
    `a real API server: ${pods} pods of ${(bytes / 1000).toFixed(1)} KB in one namespace`,
    '',
    ...aligned(
      [
        ['resident MiB', 'at rest', 'most ever', 's to ready', 's to quiet'],
        ['leader', ...row],
      ],
      1,
    ),
    '',
  ];
}

/** The targets of a leader among so many pods. */
export function podsTargets({ rest, peak, pods }: AmongPods, limitMiB: number): Target[] {
  const where = `among ${pods} pods of a real API server`;
  return [
    below(`MiB resident of a leader at rest ${where}`, rest, restLimitMiB),
    below(`MiB resident of a leader at most ${where}`, peak, limitMiB),
  ];
}

/** Each target, met or missed. */
export function targetTable(targets: Target[]): string[] {
  const rows = targets.map(({ what, wanted, measured, met }) => [
    met ? 'met' : 'MISSED',
    what,
    round(measured),
    wanted,
  ]);
  return [...aligned([['', 'target', 'measured', 'wanted'], ...rows], 2), ''];
}

/** What was measured beside others. */
export function tableOf(results: Results): string[] {
  const { machine, releases, rounds, seconds, figures, memory } = results;
  const rows = Object.entries(figures).flatMap(([name, servers]) =>
    Object.entries(servers).map(([server, round]) => rowOf(name, server, round, servers[go])),
  );
  const head = ['review', 'server', 'rps', 'p50 ms', 'p99 ms', 'CPU ms', 'cores', 'rps/Go', 'p99/Go', 'CPU/Go'];
  const memoryRows = Object.entries(memory).map(([server, { rest, afterLarge, peak }]) => [
    server,
    rest.toFixed(0),
    afterLarge.toFixed(0),
    peak.toFixed(0),
  ]);
  return [
    `${machine.cores} cores, ${machine.model.trim()}, Node ${machine.node}; ${releases} releases of 6 workloads loaded`,
    `TLS, keep-alive, 4 connections; medians of ${rounds} interleaved rounds of ${seconds} s; Go is 1`,
    '',
    ...aligned([head, ...rows], 2),
    '',
    ...aligned([['resident MiB', 'at rest', 'after 1 MB', 'most ever'], ...memoryRows], 1),
    '',
  ];
}

function rowOf(name: string, server: string, r: Round, beside: Round | undefined): string[] {
  const ratio = (key: 'throughput' | 'p99Ms' | 'cpuMs') => (beside ? (r[key] / beside[key]).toFixed(2) : '');
  const figures = [r.throughput, r.p50Ms, r.p99Ms, r.cpuMs, r.serverCores].map(round);
  return [name, server, ...figures, ratio('throughput'), ratio('p99Ms'), ratio('cpuMs')];
}

/** Three digits that count. */
function round(figure: number): string {
  return figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3);
}

/** Columns one under the other: the first `left` begin, the others end, in line. */
function aligned(rows: string[][], left: number): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const cell = (text: string, column: number) =>
    column < left ? text.padEnd(widths[column]!) : text.padStart(widths[column]!);
  return rows.map((row) => row.map(cell).join('  ').trimEnd());
}
