/** The pairs of the matrix: every head boundary from 2.7 to 3.3 that the reverse scripts cross. */
export interface Pair {
  from: string;
  to: string;
  /** Words of the blocker with which the plan must stop this pair before anything is touched. */
  blocked?: RegExp;
  /** What the blocker's words tell a person to do instead, in SQL; afterwards it must go. */
  remedy?: string;
  /** Words of the loss with which the plan must tell that the far deferred task can't be taken up; it then fails. */
  farFails?: RegExp;
}

/** The reverse script of images before 3.2.2 stops on any deadline (apache/airflow #66016). */
const deadlines = { blocked: /deadlines are stored.*#66016/, remedy: 'DELETE FROM deadline' };

export const pairs: readonly Pair[] = [
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

/** The name of a pair: 3.2.1-3.1.8. */
export function nameOf({ from, to }: Pair): string {
  return `${from}-${to}`;
}
