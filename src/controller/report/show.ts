/** Show: what a Downgrade says to people is written into its status; an event marks each new reason. */
import { outageSeconds } from '../../release/downgrade/phase.ts';
import { type DowngradeObject, readRun } from '../../release/kubernetes/downgrade.ts';
import type { Act, RunAct } from '../../release/model/act.ts';
import { replacing } from '../../release/model/json.ts';
import type { Release } from '../../release/model/release.ts';
import type { Run, RunStatus } from '../../release/model/run.ts';
import type { Shown } from '../../release/model/shown.ts';
import type { Reads, Writes } from '../ports.ts';
import { differs, newsOf, shownOf } from './downgrade.ts';
import { subjectOf } from './failures.ts';

/** Shows what comes next. Answers the record's version after that. */
export async function show(
  release: Release,
  object: DowngradeObject,
  act: Act,
  writes: Writes,
): Promise<string | undefined> {
  const run = readRun(object);
  const shown = shownOf(release, run, act, object.status);
  if (!differs(object.status, shown)) return run.resourceVersion;
  return await write(object, run, shown, writes);
}

/**
 * The end is recorded and shown by one write. Nobody looks at a run that is over: what a killed controller had not shown
 * yet would never be.
 */
export async function finish(
  { outcome }: Extract<RunAct, { act: 'finish' }>,
  release: Release,
  run: Run,
  { reads, writes }: { reads: Pick<Reads, 'downgrades'>; writes: Writes },
): Promise<void> {
  const object = (await reads.downgrades(release.namespace)).find((d) => d.metadata.uid === run.uid);
  if (!object) return;
  const completedAt = release.now.toISOString();
  const outage = outageSeconds({ ...run, status: { ...run.status, completedAt } }, release.now);
  const record: RunStatus = { completedAt, outcome, ...(outage === undefined ? {} : { outageSeconds: outage }) };
  const ended = { ...run, status: { ...run.status, ...record } };
  const shown = shownOf({ ...release, run: ended }, ended, { act: 'rest' }, object.status);
  await write(object, run, shown, writes, { record });
}

/** Writes what is shown, with `more` beside it, and an event for each new reason. Answers the record's version. */
async function write(
  object: DowngradeObject,
  run: Run,
  shown: Shown,
  writes: Writes,
  more: { record?: RunStatus } = {},
): Promise<string | undefined> {
  const backup = replacing(object.status?.backup, shown.backup);
  const { namespace } = object.metadata;
  const version = await writes.patchDowngradeStatus(namespace, run.name, { ...more, ...shown, backup }, run);
  for (const event of newsOf(object.status, shown)) await writes.event({ object: subjectOf(object), ...event });
  return version;
}
