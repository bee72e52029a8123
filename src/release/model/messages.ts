/**
 * What the programs of src/inside have told, read as a stranger's word: whoever may write a pod's template, its files or its
 * log may write these. What is not of the shape that they have is no answer, and says what is wrong with it. Pure.
 */
import { explain } from '@renovatebot/pep440';
import type { ManagerHead } from './image.ts';
import { record } from './json.ts';
import {
  type Digests,
  digested,
  type Inspection,
  type RunnerProgress,
  type RunnerResult,
  type TakeUp,
} from './runner.ts';
import { byName, type Check, either, fields, list, maybe, number, orNull, text, word, yesOrNo } from './shapes.ts';

/** What was read, or why it is none: its own error, or what is not understood of it. */
export type Read<T> = { told: T } | { fault: string };

export interface ProbeLine {
  airflowVersion: string;
  coreHeads: string[];
  managers: ManagerHead[];
  fernetKeys?: string[] | null;
}

const version: Check = (value, at) =>
  word(value, at) ??
  (explain(String(value)) ? undefined : `${at} is "${String(value).slice(0, 80)}", which is no version`);

const words = list(word, 100);
const texts = list(text, 200);
const fernetKeys = maybe(orNull(list(word, 100)));
const versionTables = byName(list(word, 50), 100);

/** One that is enforced and wants no head could not be compared with anything. */
const manager = { class: word, versionTable: word, heads: list(word, 20, 1) };

/** Of which what was learned of an image is made, here and where it was kept. */
export const managerHeads = list(fields(manager), 50);

const probeLine = fields({ airflowVersion: version, coreHeads: words, managers: managerHeads, fernetKeys });

/** More kinds than a question of 60 KB can name. */
const takeUps = fields({
  triggers: list(
    fields({
      class: text,
      arguments: texts,
      lacks: maybe(text),
      refuses: maybe(texts),
      needs: maybe(texts),
      notKnown: maybe(text),
    }),
    2000,
  ),
});

const digest: Check = (value, at) => (/^[0-9a-f]{64}$/.test(String(value)) ? text(value, at) : `${at} is no digest`);
const digests = fields({ digests: fields(Object.fromEntries(digested.map((name) => [name, orNull(digest)]))) });
const chain = list(fields({ revision: word, down: either(word, words, orNull(word)) }), 5000);
const rows = { table: text, column: text, count: number };
const can = { possible: yesOrNo, why: texts, notes: texts };
const identity = fields({ database: text, oid: text, cluster: text });
const seconds = orNull(number);

const inspection = fields({
  at: text,
  kinds: maybe(words),
  look: maybe(orNull(text)),
  airflowVersion: version,
  core: fields({ heads: words, chain }),
  managers: list(
    fields({ ...manager, chain, command: orNull(word), canDowngrade: yesOrNo, coreTables: maybe(texts) }),
    50,
  ),
  database: fields({ versionTables, airflowTables: yesOrNo, identity, backend: word }),
  rows: list(fields({ ...rows, examples: list(either(number, text), 1000) }), 200),
  unconvertible: list(fields({ ...rows, ids: text, why: text }), 1000),
  triggers: maybe(
    list(
      fields({ class: orNull(text), arguments: orNull(texts), tasks: number, watchers: number, callbacks: number }),
      1000,
    ),
  ),
  fernetKeys,
  encrypted: maybe(byName(orNull(number), 200)),
  copy: maybe(orNull(fields({ ...can, bytes: number }))),
  dump: maybe(orNull(fields({ ...can, program: orNull(text), needBytes: seconds, freeBytes: seconds }))),
  hazards: maybe(
    list(
      fields({
        id: text,
        crosses: word,
        effect: word,
        tables: maybe(orNull(texts)),
        what: text,
        remedy: maybe(orNull(text)),
        count: orNull(number),
        examples: maybe(orNull(texts)),
        error: maybe(orNull(text)),
      }),
      2000,
    ),
  ),
  sizes: maybe(
    fields({
      databaseBytes: number,
      tables: list(fields({ table: text, rows: orNull(number), bytes: number, estimated: maybe(yesOrNo) }), 2000),
    }),
  ),
  limits: maybe(byName(number, 50)),
  obstacles: maybe(
    orNull(
      list(
        fields({
          what: text,
          pid: orNull(number),
          user: orNull(text),
          application: orNull(text),
          seconds,
        }),
        1000,
      ),
    ),
  ),
});

const server = fields({
  state: word,
  seconds: number,
  quietSeconds: number,
  why: maybe(text),
  events: maybe(texts),
  pid: maybe(orNull(number)),
  statement: maybe(orNull(text)),
  statementSeconds: maybe(orNull(number)),
  part: maybe(orNull(fields({ what: text, percent: orNull(number), remainingSeconds: maybe(orNull(number)) }))),
  wal: maybe(orNull(number)),
  databaseBytes: maybe(orNull(number)),
  locksNotGranted: maybe(orNull(number)),
  replicas: maybe(orNull(list(fields({ name: text, bytes: orNull(number) }), 100))),
  slots: maybe(orNull(list(fields({ name: text, active: yesOrNo, bytes: orNull(number) }), 100))),
});

const authority = { token: number, run: text };

const progress = fields({
  ...authority,
  step: number,
  steps: number,
  kind: word,
  done: number,
  of: number,
  revision: text,
  message: text,
  at: maybe(number),
  begun: maybe(number),
  since: maybe(number),
  server: maybe(server),
  blockedBy: maybe(texts),
  newer: maybe(text),
});

const anything: Check = () => undefined;
const manyTables = 10_000;

/** What a step found, by names of its own; those that are taken apart here. */
const facts: Check = (value, at) =>
  byName(anything, 1000)(value, at) ??
  fields({
    counts: maybe(orNull(byName(anything, manyTables))),
    uncounted: maybe(orNull(byName(anything, manyTables))),
    gone: maybe(byName(anything, manyTables)),
    told: maybe(list(text, 1000)),
  })(value, at);

const succeeded = fields({ ...authority, versionTables, facts: maybe(list(orNull(facts), 100)) });
const failed = fields({ ...authority, versionTables, error: fields({ kind: word, message: text }) });

const result: Check = (value, at) => {
  const ok = record(value)?.ok;
  return yesOrNo(ok, 'ok') ?? (ok ? succeeded : failed)(value, at);
};

/** The probe's line, without its mark. */
export const probeIn = (line: string): Read<ProbeLine> => read(line, probeLine);

/** What the target says of triggers. */
export const takeUpsIn = (line: string): Read<{ triggers: TakeUp[] }> => read(line, takeUps);

/** The digests of what a process was told. */
export const digestsIn = (line: string): Read<{ digests: Digests }> => read(line, digests);

/** inspect.json. */
export const inspectionIn = (file: string): Read<Inspection> => read(file, inspection);

/** progress.json. */
export const progressIn = (file: string): Read<RunnerProgress> => read(file, progress, false);

/** result.json. */
export const resultIn = (file: string): Read<RunnerResult> => read(file, result, false);

/** Larger than what our programs write of the largest installation, and soon parsed. */
const mostBytes = 4 * 1024 * 1024;

/** `error` in place of the answer is the program's own sentence. */
function read<T>(from: string, check: Check, mayFail = true): Read<T> {
  if (from.length > mostBytes) return { fault: `its answer has ${from.length} characters` };
  let value: unknown;
  try {
    value = JSON.parse(from);
  } catch {
    return { fault: 'its answer is cut off or no JSON' };
  }
  const error = mayFail ? record(value)?.error : undefined;
  if (typeof error === 'string' && error !== '') return { fault: error.slice(0, 2000) };
  const fault = check(value, '');
  return fault === undefined
    ? { told: value as T }
    : { fault: `its answer is not understood: ${fault || 'it is no object'}` };
}
