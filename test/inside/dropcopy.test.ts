/** What a real runner makes and marks on the server is told as its own from outside, and dropped from there. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { dropCopy } from '../../src/database/dropcopy.ts';
import { settingsAt } from '../database/settings.ts';
import { runId, type Scene, type Stage, startStage } from './copies.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
}, 900_000);
afterEach(() => stage.clear());
afterAll(async () => await stage?.stop());

async function drop(scene: Scene, name = scene.copy) {
  const [row] = await stage.sql('SELECT system_identifier::text AS cluster FROM pg_control_system()');
  const settings = settingsAt(stage.postgres.url(scene.name, 'airflow'));
  return await dropCopy(settings, { name, run: runId, cluster: String(row?.cluster), timeoutMs: 20_000 });
}

it('S2-14: a verified copy, while the runner is still there', async () => {
  const scene = await stage.scene();
  const runner = await scene.start();
  expect(await scene.obey(runner, scene.copyStep())).toMatchObject({ ok: true });
  expect(await drop(scene)).toEqual({ dropped: true });
  expect(await stage.database(scene.copy)).toBeUndefined();
  expect(await drop(scene)).toEqual({ gone: true });
}, 90_000);

it('S2-14: what was put aside when the copy took its place; never what stands there now', async () => {
  const scene = await stage.scene();
  const runner = await scene.start();
  await scene.obey(runner, scene.copyStep());
  await stage.postgres.query(scene.name, 'DELETE FROM slot_pool');
  expect(await scene.obey(runner, scene.takeBackStep())).toMatchObject({ ok: true });
  expect(await drop(scene)).toEqual({ gone: true });
  expect(await drop(scene, scene.name)).toEqual({ kept: expect.stringMatching(/uses now; it was not touched$/) });
  expect(await drop(scene, scene.aside)).toEqual({ dropped: true });
  expect(await stage.postgres.query(scene.name, 'SELECT FROM slot_pool')).toHaveLength(1);
}, 90_000);

it('a copy whose runner was killed before its first mark: not while its session lives, then by its birthmark', async () => {
  const scene = await stage.scene();
  const runner = await scene.start();
  const held = await stage.holdComments();
  await scene.order(runner, scene.copyStep());
  await stage.waits('COMMENT ON DATABASE');
  expect(await stage.database(scene.copy)).toMatchObject({ comment: null });
  expect(await drop(scene)).toEqual({ kept: `a downdraft runner still copies or renames ${scene.name}` });
  runner.child.kill('SIGKILL');
  await stage.ends('COMMENT ON DATABASE');
  await held.end();
  expect(await stage.database(scene.copy)).toMatchObject({ comment: null });
  await expect.poll(() => drop(scene), { timeout: 10_000 }).toEqual({ dropped: true });
}, 90_000);
