/** The question whether an image fits a database, and the answer. */
import type { DatabaseState } from '../model/database.ts';
import type { ImageKnowledge, ImageUnknown } from '../model/image.ts';
import type { Reason } from '../model/reasons.ts';
import type { ReturnedRun, Run } from '../model/run.ts';

export type Verdict =
  | { verdict: 'allow'; reason: Reason }
  | { verdict: 'hold' | 'deny'; reason: Reason; message: string };

/** What is asked: this workload with this image, on this database, while this run (if any) is under way. */
export interface Question {
  workload: { kind: string; namespace: string; name: string; release: string };
  image: ImageKnowledge | ImageUnknown;
  /** Images of the pod's further containers that open the database. */
  others?: readonly (ImageKnowledge | ImageUnknown)[];
  /** The change names another database than `database`, or the one before a hold was another. */
  connectionChanged?: boolean;
  database: DatabaseState;
  run: Run | undefined;
  /** The last run that was returned, while none is under way. */
  returned?: ReturnedRun | undefined;
  /** Main image before the workload was held, if it is. */
  from?: string | undefined;
}

/** The image that ran before the hold, on the database that it ran on. */
export function isRestored({ from, image, connectionChanged }: Question): boolean {
  return from === image.image && !connectionChanged;
}

/** What ran before the hold, and does not contradict the database, runs there still. */
export const restored = { verdict: 'allow', reason: 'PreviousImage' } as const;
