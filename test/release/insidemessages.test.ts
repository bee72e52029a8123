/** Messages between the controller and src/inside have the same names on both sides. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { Order, Orders } from '../../src/release/model/act.ts';
import type { DatabaseIdentity, Session } from '../../src/release/model/database.ts';
import type { ManagerHead } from '../../src/release/model/image.ts';
import type { ProbeLine } from '../../src/release/model/messages.ts';
import {
  type AskedTrigger,
  type ChainLink,
  type DatabaseSizes,
  digested,
  type FoundHazard,
  type Inspection,
  type Obstacle,
  type RunnerProgress,
  type RunnerResult,
  type ServerActivity,
  type TakeUp,
  type WaitingTrigger,
} from '../../src/release/model/runner.ts';
import { packageEnv } from '../make/inside.ts';

/** Of each message in Python: its names, and whether each is always there. */
const messages = JSON.parse(
  execFileSync(
    'python3',
    [
      '-c',
      `import json
from downdraft.messages import inspection, lines, orders
found = {}
for module in (inspection, lines, orders):
    for name, cls in vars(module).items():
        if hasattr(cls, "__required_keys__"):
            found[name] = {key: key in cls.__required_keys__ for key in cls.__annotations__}
print(json.dumps(found))`,
    ],
    { env: { ...process.env, ...packageEnv }, encoding: 'utf8' },
  ),
) as Record<string, Record<string, boolean>>;

/** Every name of a type, and whether it is always there; the compiler asks for each of them. */
type Names<T> = { [K in keyof T]-?: undefined extends T[K] ? false : true };
type Of<T> = T extends (infer E)[] ? E : NonNullable<T>;
type Done = Extract<RunnerResult, { ok: true }>;
type Failed = Extract<RunnerResult, { ok: false }>;

const identity: Names<DatabaseIdentity> = { database: true, oid: true, cluster: true };
const waiting: Names<WaitingTrigger> = { class: true, arguments: true, tasks: true, watchers: true, callbacks: true };
const possible = { possible: true, why: true, notes: true } as const;

/** What is read here of each message, by its name in Python; `also`: what is told beside it, for people and newer readers. */
const read: Record<string, { here: Record<string, boolean>; also?: string[] }> = {
  Inspection: {
    here: {
      at: true,
      kinds: false,
      look: false,
      airflowVersion: true,
      core: true,
      managers: true,
      database: true,
      rows: true,
      unconvertible: true,
      triggers: false,
      fernetKeys: false,
      encrypted: false,
      copy: false,
      dump: false,
      hazards: false,
      sizes: false,
      limits: false,
      obstacles: false,
    } satisfies Names<Inspection>,
    also: ['seconds'],
  },
  Core: { here: { heads: true, chain: true } satisfies Names<Inspection['core']> },
  Link: { here: { revision: true, down: true } satisfies Names<ChainLink>, also: ['version'] },
  Manager: {
    here: {
      class: true,
      versionTable: true,
      heads: true,
      chain: true,
      command: true,
      canDowngrade: true,
      coreTables: false,
    } satisfies Names<Of<Inspection['managers']>>,
    also: ['package', 'packageVersion'],
  },
  Database: {
    here: { backend: true, identity: true, versionTables: true, airflowTables: true } satisfies Names<
      Inspection['database']
    >,
    also: ['schema'],
  },
  Identity: { here: identity },
  UnreadableRows: {
    here: { table: true, column: true, count: true, examples: true } satisfies Names<Of<Inspection['rows']>>,
    also: ['undecipherable'],
  },
  UnconvertibleRows: {
    here: { table: true, column: true, count: true, ids: true, why: true } satisfies Names<
      Of<Inspection['unconvertible']>
    >,
  },
  WaitingTrigger: { here: waiting },
  Hazard: {
    here: {
      id: true,
      crosses: true,
      effect: true,
      tables: false,
      what: true,
      remedy: false,
      count: true,
      examples: false,
      error: false,
    } satisfies Names<FoundHazard>,
  },
  Sizes: { here: { databaseBytes: true, tables: true } satisfies Names<DatabaseSizes> },
  Size: {
    here: { table: true, rows: true, bytes: true, estimated: false } satisfies Names<Of<DatabaseSizes['tables']>>,
  },
  Obstacle: {
    here: { what: true, pid: true, user: true, application: true, seconds: true } satisfies Names<Obstacle>,
  },
  CopyPossible: {
    here: { ...possible, bytes: true } satisfies Names<Of<Inspection['copy']>>,
    also: ['others', 'freeBytes', 'maintenance', 'strategy'],
  },
  DumpPossible: {
    here: { ...possible, program: true, needBytes: true, freeBytes: true } satisfies Names<Of<Inspection['dump']>>,
  },
  Progress: {
    here: {
      token: true,
      run: true,
      step: true,
      steps: true,
      kind: true,
      done: true,
      of: true,
      revision: true,
      message: true,
      at: false,
      begun: false,
      since: false,
      server: false,
      blockedBy: false,
      newer: false,
    } satisfies Names<RunnerProgress>,
  },
  Server: {
    here: {
      state: true,
      seconds: true,
      quietSeconds: true,
      why: false,
      events: false,
      pid: false,
      statement: false,
      statementSeconds: false,
      part: false,
      wal: false,
      databaseBytes: false,
      locksNotGranted: false,
      replicas: false,
      slots: false,
    } satisfies Names<ServerActivity>,
  },
  PartLeft: {
    here: { what: true, percent: true, remainingSeconds: false } satisfies Names<Of<ServerActivity['part']>>,
  },
  Replica: { here: { name: true, bytes: true } satisfies Names<Of<Of<ServerActivity['replicas']>>> },
  Slot: { here: { name: true, active: true, bytes: true } satisfies Names<Of<Of<ServerActivity['slots']>>> },
  Result: {
    here: {
      ...({ token: true, run: true, ok: true, facts: false, versionTables: true } satisfies Names<Done>),
      error: false satisfies boolean & Names<Partial<Failed>>['error'],
    },
    also: ['seconds', 'versionTablesError'],
  },
  Failure: { here: { kind: true, message: true } satisfies Names<Failed['error']>, also: ['step', 'revision'] },
  ProbeLine: {
    here: { airflowVersion: true, coreHeads: true, managers: true, fernetKeys: false } satisfies Names<ProbeLine>,
    also: ['python'],
  },
  ManagerHead: {
    here: { class: true, versionTable: true, heads: true } satisfies Names<ManagerHead>,
    also: ['package', 'packageVersion'],
  },
  TakeUp: {
    here: {
      class: true,
      arguments: true,
      lacks: false,
      refuses: false,
      needs: false,
      notKnown: false,
    } satisfies Names<TakeUp>,
  },
  Digests: { here: Object.fromEntries(digested.map((name) => [name, true])) },
  Session: {
    here: { pid: true, user: true, application: true, client: true, state: true } satisfies Names<Session>,
  },
};

/** What is written here, by its name in Python. */
const written: Record<string, Record<string, boolean>> = {
  Order: {
    kind: true,
    run: false,
    name: false,
    aside: false,
    keepUntil: false,
    toRevision: false,
    class: false,
    versionTable: false,
    crossed: false,
    managers: false,
    counted: false,
    counts: false,
    uncounted: false,
    readable: false,
    accept: false,
  } satisfies Names<Order>,
  Orders: {
    ...({ run: true, steps: true } satisfies Names<Orders>),
    // Beside what is ordered: the fencing token, and for which database.
    token: true,
    identity: true,
  },
  AskedTrigger: { class: true, arguments: true } satisfies Names<AskedTrigger>,
};

describe('messages of src/inside', () => {
  it.each(Object.entries(read))('%s has the names that are read here', (name, { here, also = [] }) => {
    expect(Object.keys(messages[name]!).sort()).toEqual([...Object.keys(here), ...also].sort());
    const always = Object.keys(here).filter((field) => here[field]);
    expect(always.filter((field) => !messages[name]![field])).toEqual([]);
  });

  it.each(Object.entries(written))('%s has the names that are written here', (name, here) => {
    expect(messages[name]).toEqual(here);
  });

  it('all are compared, but for parts of others', () => {
    const parts = ['Possible', 'Part', 'Signature', 'Obstruction', 'DatabaseLine', 'TriggersLine', 'DigestsLine'];
    const compared = [...Object.keys(read), ...Object.keys(written), ...parts].sort();
    expect(
      Object.keys(messages)
        .filter((name) => !name.startsWith('_'))
        .sort(),
    ).toEqual(compared);
  });
});
