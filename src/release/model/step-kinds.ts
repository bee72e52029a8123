/**
 * What the runner can be at, each kind with all that is said and decided by it: one table, so that the compiler asks for
 * everything that a new kind needs. The kinds are those of KINDS in src/inside, which a test holds them against.
 */
import type { Phase } from './phase.ts';

/** copy: the backup; reverse: rows and schemas down; return: the return. */
export type Part = 'copy' | 'reverse' | 'return';

export interface StepFacts {
  part: Part;
  phase: Phase;
  /** The word for it in the column STEP. */
  word: string;
  /**
   * When it ends after the run was aborted: at once, since nothing is lost (src/inside tends it, and cancels it), or
   * when what runs has come to its end. `never`: it is what an aborted run does, and is not aborted itself.
   */
  abort: 'at once' | 'after what runs' | 'never';
  /** Its statement is part of a reverse script: PostgreSQL rolls the whole revision back, MySQL keeps what was done. */
  reverses: boolean;
}

const backup = { part: 'copy', phase: 'BackingUp', reverses: false } as const;
const downgrade = { part: 'reverse', phase: 'Downgrading', abort: 'after what runs' } as const;
const back = { part: 'return', phase: 'Returning', abort: 'never', reverses: false } as const;

export const stepKinds = {
  copy: { ...backup, word: 'copy', abort: 'at once' },
  dump: { ...backup, word: 'dump', abort: 'at once' },
  dropCopy: { ...backup, word: 'drop the older copy', abort: 'after what runs' },
  count: { ...backup, word: 'count', abort: 'after what runs' },
  convert: { ...downgrade, phase: 'Converting', word: 'convert', reverses: false },
  core: { ...downgrade, word: 'core', reverses: true },
  manager: { ...downgrade, word: 'provider', reverses: true },
  repair: { ...downgrade, word: 'repair', reverses: false },
  verify: { ...downgrade, phase: 'Verifying', word: 'verify', reverses: false },
  takeBack: { ...back, word: 'take the copy back' },
  restore: { ...back, word: 'load the dump' },
  migrate: { ...back, word: 'migrate up' },
} as const satisfies Record<string, StepFacts>;

export type StepKind = keyof typeof stepKinds;

/** The facts of a kind; of one that a newer runner or record names, nothing more than what is safe for each of them. */
export function factsOf(kind: string): StepFacts {
  return Object.hasOwn(stepKinds, kind) ? stepKinds[kind as StepKind] : { ...downgrade, word: kind, reverses: false };
}
