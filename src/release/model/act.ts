/** What can be done for a release, as data. */
import type { ImageKnowledge } from './image.ts';
import type { BackupObject, Expired, Surplus } from './release.ts';
import type { RunStatus } from './run.ts';
import type { AskedTrigger } from './runner.ts';
import type { Part, StepKind } from './step-kinds.ts';
import type { WaitReason } from './waits.ts';
import type { Pod, Workload } from './workload.ts';

/** What the controller does next; each is safe to do twice. */
export type Act = ReleaseAct | RunAct;

/** What needs no record of a run. */
export type ReleaseAct =
  | { act: 'rest' }
  /** `about`: pods that it is to be said of, where there is no run to say it in. */
  | { act: 'wait'; reason: WaitReason; message: string; about?: Pod[] }
  | { act: 'startRun'; to: string }
  | { act: 'createGate' }
  | { act: 'deleteGate' }
  | { act: 'restore'; workload: Workload }
  | { act: 'unhold'; workload: Workload }
  | { act: 'hold'; workload: Workload }
  | { act: 'endPods'; pods: Pod[] }
  | { act: 'ungate'; pods: Pod[] }
  | { act: 'endMisfits'; pods: Pod[] }
  | { act: 'dismissHelpers' }
  | { act: 'deleteRecord'; surplus: Surplus }
  | { act: 'dropCopy'; expired: Expired };

/** What is done for a run, and stands in its record. */
export type RunAct =
  /** `learned` is kept for later changes, too, where that can be done: nothing of this run waits for it. */
  | { act: 'record'; status: Partial<RunStatus>; learned?: ImageKnowledge }
  | { act: 'startProbe' }
  | { act: 'restartProbe' }
  | { act: 'askTriggers'; triggers: AskedTrigger[] }
  | { act: 'startRunner' }
  | { act: 'restartRunner' }
  | { act: 'isolateRunner' }
  | { act: 'endStrays'; pods: Pod[] }
  | { act: 'lookAgain'; mark: string }
  | { act: 'order'; part: Part }
  | { act: 'askBackup'; object: BackupObject }
  | { act: 'finish'; outcome: NonNullable<RunStatus['outcome']> };

/** What stands in orders.json beside the fencing token and the database's identity. */
export interface Orders {
  run: string;
  steps: Order[];
}

/** One step, as src/inside/README.md has it; each kind has some of these. */
export interface Order {
  kind: StepKind;
  run?: string;
  /** Of a copy or a dump; and of what is put aside when a copy takes its place. */
  name?: string | null;
  aside?: string;
  keepUntil?: string;
  toRevision?: string;
  class?: string;
  versionTable?: string;
  crossed?: string[];
  managers?: Record<string, string[]>;
  counted?: Record<string, number | null>;
  counts?: Record<string, number>;
  uncounted?: Record<string, string>;
  readable?: boolean;
  accept?: boolean;
}
