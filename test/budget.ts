/** What a level may cost, in seconds of processor time (budget.json): about one and a half times what it did when measured. */
import budgets from './budget.json' with { type: 'json' };
import type { FileTimes } from './filetimes.ts';

/** Of one run of a level. */
export interface Cost {
  wallSeconds: number;
  /** Undefined where it can't be measured. */
  processorSeconds: number | undefined;
  files: FileTimes;
}

/** Undefined for a level that has no budget. */
function budgetOf(level: string): number | undefined {
  return (budgets as Record<string, number>)[level];
}

/** What people read after a level. */
export function inWords(level: string, { wallSeconds, processorSeconds, files }: Cost): string[] {
  const budget = budgetOf(level);
  const of = budget === undefined ? 'no budget' : `budget ${budget} s`;
  const spent =
    processorSeconds === undefined ? 'processor time unknown' : `${Math.round(processorSeconds)} s of processor time`;
  const slowest = Object.entries(files)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 5)
    .map(([file, seconds]) => `  ${seconds.toFixed(1).padStart(6)} s  ${file}`);
  return [`${level}: ${spent} (${of}) in ${Math.round(wallSeconds)} s; the slowest files:`, ...slowest];
}

/** The one line of a level that costs more than it may. */
export function overrun(level: string, { processorSeconds }: Cost): string | undefined {
  const budget = budgetOf(level);
  if (budget === undefined || processorSeconds === undefined || processorSeconds <= budget) return undefined;
  return `${level} took ${Math.round(processorSeconds)} s of processor time and may take ${budget} s: make it cheaper, or say in test/budget.json what it is worth`;
}
