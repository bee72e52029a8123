/** The phases of a Downgrade, as its status shows them. */

export type Phase =
  | 'Planning'
  | 'Draining'
  | 'BackingUp'
  | 'Converting'
  | 'Downgrading'
  | 'Verifying'
  | 'Returning'
  | 'Resuming'
  | 'Done'
  | 'Returned'
  | 'Canceled';
