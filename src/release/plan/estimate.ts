/** How long a downgrade will take, as far as sizes tell. */
import type { DatabaseSizes, WhatWasFound } from '../model/runner.ts';

/** Seconds in words: seconds up to two minutes, then minutes. */
export function seconds(value: number): string {
  return value < 120 ? `${Math.round(value * 10) / 10} s` : `${Math.round(value / 60)} min`;
}

/** A revision whose reverse script takes time that grows with a table: seconds per GB, or per million rows. */
interface Cost {
  tables: readonly string[];
  perGB?: number;
  perMillionRows?: number;
}

/**
 * From test/matrix/large.json (PostgreSQL 18, 3.2.1 back to 2.11.2), by seconds of processor and half as much again, for a
 * server waits for its disk, too. The first lies between that (27) and the field's 8 min for 9.4 GB
 * (apache/airflow#63545).
 */
const costs: Readonly<Record<string, Cost>> = {
  a5a3e5eb9b8d: { tables: ['task_instance', 'task_instance_history'], perGB: 40 },
  '3ac9e5732b1f': { tables: ['task_instance'], perGB: 3 },
  '7645189f3479': { tables: ['task_instance_history'], perMillionRows: 45 },
  e00344393f31: { tables: ['dag_run'], perMillionRows: 35 },
  // Row by row in Python.
  e39a26ac59f6: { tables: ['dag_run'], perMillionRows: 1100 },
  eed27faa34e3: { tables: ['xcom'], perGB: 60 },
  d59cbbef95eb: { tables: ['task_instance'], perGB: 25 },
  d8cd3297971e: { tables: ['task_instance'], perGB: 2 },
};

const secondsPerRevision = 0.1;
const gigabyte = 1024 ** 3;
const usualRowBytes = 500;

/** About how long the reverse scripts take, and what of it takes longest: an estimate from sizes, not a promise. */
export function estimateSeconds(
  { sizes }: WhatWasFound,
  crossed: ReadonlySet<string>,
): { seconds: number; why: string } {
  const plain = secondsPerRevision * crossed.size;
  if (!sizes) return { seconds: Math.ceil(plain), why: 'the sizes of the tables are not known' };
  const slow = [...crossed]
    .flatMap((revision) => {
      const cost = costs[revision];
      return cost ? [{ revision, cost, takes: takes(cost, sizes) }] : [];
    })
    .sort((a, b) => b.takes - a.takes);
  const total = Math.ceil(plain + slow.reduce((sum, { takes }) => sum + takes, 0));
  const longest = slow.filter((one) => one.takes >= 1).slice(0, 3);
  const parts = longest.map(({ revision, cost, takes }) => `${revision} (${cost.tables.join(', ')}) ${seconds(takes)}`);
  const why = `about ${seconds(total)} by the sizes of the tables, more on a slow or busy server`;
  return { seconds: total, why: parts.length > 0 ? `${why}; longest: ${parts.join(', ')}` : why };
}

function takes({ tables, perGB = 0, perMillionRows = 0 }: Cost, sizes: DatabaseSizes): number {
  return sizes.tables
    .filter(({ table }) => tables.includes(table))
    .reduce((sum, { bytes, rows }) => {
      const millions = (rows ?? bytes / usualRowBytes) / 1e6;
      return sum + (bytes / gigabyte) * perGB + millions * perMillionRows;
    }, 0);
}
