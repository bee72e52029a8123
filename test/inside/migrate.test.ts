import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { fabManager } from './airflow.ts';
import { heads321, type Stage, startStage } from './copies.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 900_000);
afterEach(() => stage.clear());
afterAll(async () => await stage?.stop());

it('G22: the return without a copy: migrates up from a half reversed schema, twice, and the runner still looks which database it is', async () => {
  const scene = await stage.scene();
  const runner = await scene.start();
  const fab = { kind: 'manager', class: fabManager, versionTable: 'alembic_version_fab', toRevision: '6709f7a774b9' };
  await stage.postgres.query(scene.name, 'CREATE VIEW ours AS SELECT id FROM deadline_alert');
  const failed = await scene.obey(runner, fab, { kind: 'core', toRevision: '509b94a1042d' });
  expect(failed.error?.message).toContain('deadline_alert');
  for (let turn = 0; turn < 2; turn++) {
    const back = await scene.obey(runner, { kind: 'migrate' });
    expect(back.error).toBeUndefined();
    expect(back.facts).toEqual([{ versionTables: heads321 }]);
  }
  // Airflow makes itself a new engine when it migrates: what the next orders open must be looked at all the same.
  await stage.sql(`ALTER DATABASE ${scene.name} RENAME TO elsewhere`);
  await stage.sql(`CREATE DATABASE ${scene.name} TEMPLATE migrated OWNER airflow`);
  const other = await scene.obey(runner, fab);
  expect(other.error).toMatchObject({ kind: 'IdentityChanged' });
}, 120_000);
