/**
 * How an order can fail, and what follows. The kinds are those of Refused in src/inside, two of SQLAlchemy's for a lost
 * connection, and our own; anything else is the name of an exception of Python's, and a person's matter.
 *
 * passes  it may go well the next time, as it is: a new runner tries again
 * accept  a person may say that it is none (spec.acceptRows)
 * asks    it stays until a person, or the policy, decides
 */
export type Consequence = 'passes' | 'accept' | 'asks';

export const errorKinds = {
  AnotherRunner: 'passes',
  InterfaceError: 'passes',
  LockTimeout: 'passes',
  OperationalError: 'passes',
  /** Ours: its pod ended (out of memory, evicted, its node gone). */
  RunnerEnded: 'passes',
  SessionsRemain: 'passes',
  RowsDiffer: 'accept',
  RowsLeftUnreadable: 'accept',
  BadOrder: 'asks',
  CannotReverse: 'asks',
  CopyChanged: 'asks',
  CopyDiffers: 'asks',
  CopyStale: 'asks',
  DiskFull: 'asks',
  DumpChanged: 'asks',
  DumpDiffers: 'asks',
  DumpFailed: 'asks',
  DumpImpossible: 'asks',
  DumpStale: 'asks',
  HalfReversed: 'asks',
  IdentityChanged: 'asks',
  NameTaken: 'asks',
  NameTooLong: 'asks',
  NoCopy: 'asks',
  NoDump: 'asks',
  NoMaintenance: 'asks',
  NoSingleRevision: 'asks',
  NotAllowed: 'asks',
  NotAnAncestor: 'asks',
  NotAtTarget: 'asks',
  NotCarried: 'asks',
  NotOurs: 'asks',
  NotPostgres: 'asks',
  /** Ours: the runner says that it has brought the newer version back, and the database says otherwise. */
  NotReturned: 'asks',
  /** Ours: the runner says that it is done, and the version tables say otherwise. */
  NotVerified: 'asks',
  OthersDepend: 'asks',
  RowsUnreadable: 'asks',
  Stopped: 'asks',
  Superseded: 'asks',
  ThroughPooler: 'asks',
  UnknownManager: 'asks',
  UnknownRevision: 'asks',
} as const satisfies Record<string, Consequence>;

export type ErrorKind = keyof typeof errorKinds;

/** What follows from a failure of that kind, as the runner or the record names it. */
export function consequenceOf(kind: string): Consequence {
  return Object.hasOwn(errorKinds, kind) ? errorKinds[kind as ErrorKind] : 'asks';
}
