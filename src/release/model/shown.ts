/** The part of a Downgrade's status that is made for people and tools. */
import type { Phase } from './phase.ts';
import type { Reason } from './reasons.ts';

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration: number;
}

/** The shown part of a Downgrade's status, beside its record. */
export interface Shown {
  observedGeneration: number;
  phase: Phase | 'AwaitingApproval';
  step: string;
  fromVersion: string;
  toVersion: string;
  outage: string;
  outageSeconds?: number;
  reason: Reason;
  message: string;
  /** Since when it says so. */
  since: string;
  /** The plan in words: each step, what stands in the way, what is not done. */
  plan: string[];
  conditions: Condition[];
  /** Of what consent is asked and given. */
  planHash: string;
  /** How to give it, while it is awaited. */
  approval: string;
  losses: string[];
  backup: Record<string, unknown>;
}
