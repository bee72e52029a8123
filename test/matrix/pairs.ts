/** The pairs of the matrix: every head boundary from 2.7 to 3.3 that the reverse scripts cross. */
import type { ServerKind } from './server.ts';

export interface Pair {
  from: string;
  to: string;
  server: ServerKind;
  /** Words of the blocker with which the plan must stop this pair before anything is touched. */
  blocked?: RegExp;
  /** What the blocker's words tell a person to do instead, in SQL; afterwards it must go. */
  remedy?: string;
  /** Words of the loss with which the plan must tell that the far deferred task can't be taken up; it then fails. */
  farFails?: RegExp;
}

/** The reverse script of images before 3.2.2 stops on any deadline (apache/airflow #66016). */
const deadlines = { blocked: /deadlines are stored.*#66016/, remedy: 'DELETE FROM deadline' };

const onPostgres: readonly Omit<Pair, 'server'>[] = [
  { from: '3.2.1', to: '3.1.8' },
  { from: '3.2.1', to: '3.0.6', ...deadlines },
  { from: '3.1.8', to: '3.1.7' },
  { from: '3.1.8', to: '3.0.6', ...deadlines },
  { from: '3.1.8', to: '2.10.5', ...deadlines },
  { from: '3.3.2', to: '3.2.2' },
  { from: '3.2.2', to: '3.1.8' },
  { from: '3.2.2', to: '2.11.2' },
  { from: '3.0.6', to: '3.0.2' },
  { from: '3.0.6', to: '2.11.2' },
  { from: '3.0.6', to: '2.10.5' },
  {
    from: '2.11.2',
    to: '2.9.3',
    farFails: /^1 deferred tasks wait for .*DateTimeTrigger, which in 2\.9\.3 takes no end_from_trigger: /,
  },
  { from: '2.9.3', to: '2.7.3' },
];

export const pairs: readonly Pair[] = [
  ...onPostgres.map((pair): Pair => ({ ...pair, server: 'postgresql' })),
  { from: '3.2.1', to: '3.1.8', server: 'mysql' },
  { from: '3.2.1', to: '2.11.2', server: 'mysql' },
  { from: '3.2.1', to: '3.1.8', server: 'mariadb' },
  { from: '3.2.1', to: '2.11.2', server: 'mariadb', blocked: /a statement that MariaDB does not know/ },
];

const servers: Record<ServerKind, string> = {
  postgresql: '',
  mysql: ' on MySQL 9.7',
  mariadb: ' on MariaDB 10.11',
};

/** The name of a pair: 3.2.1-3.1.8, 3.2.1-3.1.8 on MySQL 9.7. */
export function nameOf({ from, to, server }: Pair): string {
  return `${from}-${to}${servers[server]}`;
}
