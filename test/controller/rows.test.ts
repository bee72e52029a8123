/** Rows before and after a downgrade: counted in every run, compared at its end, in a world in memory (S4-13). */
import { describe, expect, it } from 'vitest';
import { defaultRules } from '../../src/release/model/policy.ts';
import type { World } from '../make/world-parts.ts';
import {
  deploy,
  goOn,
  isDone,
  look,
  newer,
  older,
  outcomes,
  record,
  running,
  runningPods,
  shown,
  until,
} from './place.ts';

const unasked = { ...defaultRules, approval: 'Never', backup: { ...defaultRules.backup, required: false } } as const;
const counted = [
  ['public.dag', 3],
  ['public.dag_run', 1],
];
const failed = (world: World) => record(world).failure?.reason === 'RowsDiffer';

/** All kinds of steps that the runner was told from now on, part by part. */
function ordered(world: World): string[][] {
  const parts: string[][] = [];
  const { writeFile } = world.writes;
  world.writes.writeFile = async (...args) => {
    if (args[3].endsWith('orders.json'))
      parts.push(JSON.parse(args[4]).steps.map(({ kind }: { kind: string }) => kind));
    return writeFile(...args);
  };
  return parts;
}

describe('rows', () => {
  it.each([
    ['with the copy', undefined, undefined, ['copy']],
    ['with a backup that a person names', { reference: 'tape 7' }, 'cannot', ['count']],
    ['without a backup', undefined, 'cannot', ['count']],
  ])('are counted after the drain %s, and compared at the end', async (_, backup, copyImpossible, first) => {
    const world = running(newer);
    world.rules = { ...unasked, backup: { ...unasked.backup, ways: ['ServerCopy', 'Reference'], required: true } };
    if (!backup) world.rules = unasked;
    world.copyImpossible = copyImpossible;
    const parts = ordered(world);
    await deploy(world, older);
    if (backup) await until(world, (w) => w.downgrades.length > 0);
    if (backup) world.downgrades[0]!.spec.backup = backup;
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(parts[0]).toEqual(first);
    expect(parts.at(-1)!.at(-1)).toBe('verify');
    expect(record(world).counted).toEqual({ of: record(world).drainedAt, rows: counted });
    expect(record(world).compared).toBe('2 tables with 4 rows are as planned');
    expect(world.events.map(({ message }) => message)).toContain('2 tables with 4 rows are as planned');
  });

  it('that differ keep the release drained, with both commands; acceptRows goes on', async () => {
    const world = running(newer);
    world.rules = unasked;
    world.lostRows = { 'public.dag': 2 };
    await deploy(world, older);
    await until(world, failed);
    await goOn(world, 5);
    expect(runningPods(world, newer)).toEqual([]);
    expect(runningPods(world, older)).toEqual([]);
    const { name } = world.downgrades[0]!.metadata;
    const { message, reason } = shown(world);
    expect(reason).toBe('DowngradeFailed');
    expect(message).toContain('public.dag had 3 rows and has 2. The release stays drained.');
    for (const spec of ['acceptRows', 'abort'])
      expect(message).toContain(`kubectl -n air patch downgrade ${name} --type merge -p '{"spec":{"${spec}":true}}'`);
    world.downgrades[0]!.spec.acceptRows = true;
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(record(world).compared).toContain('public.dag');
    expect(record(world).failure).toBeUndefined();
  });

  it.each([
    ['by an abort', 'Ask', true],
    ['by the policy', 'Return', false],
  ] as const)('that differ lead back to the copy %s', async (_, onFailure, abort) => {
    const world = running(newer);
    world.rules = { ...unasked, onFailure };
    world.lostRows = { 'public.dag': 2 };
    await deploy(world, older);
    if (abort) await until(world, failed);
    if (abort) world.downgrades[0]!.spec.abort = true;
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Returned']);
  });

  it('of a run that has no counts are not compared, and that is said', async () => {
    const world = running(newer);
    world.rules = unasked;
    const { patchDowngradeStatus } = world.writes;
    world.writes.patchDowngradeStatus = async (namespace, name, status, read) => {
      const begins = (status.record as { schemaStartedAt?: string } | undefined)?.schemaStartedAt;
      // As an older downdraft leaves it.
      const record = { ...(status.record as object), counted: null };
      return patchDowngradeStatus(namespace, name, begins ? { ...status, record } : status, read);
    };
    await deploy(world, older);
    const parts = ordered(world);
    await until(world, isDone(world));
    expect(parts.flat()).not.toContain('verify');
    expect(record(world).compared).toBe('the rows were not compared: nobody counted them before');
  });

  it('that can not be counted keep nobody waiting', async () => {
    const world = running(newer);
    world.rules = unasked;
    world.copyImpossible = 'cannot';
    world.countFails = 'ValueError: no tables';
    await deploy(world, older);
    await until(world, isDone(world));
    expect(outcomes(world)).toEqual(['Downgraded']);
    expect(record(world).compared).toBe('the rows were not compared: ValueError: no tables');
  });

  it('are counted anew by another runner when the connection was lost', async () => {
    const world = running(newer);
    world.rules = unasked;
    world.copyImpossible = 'cannot';
    world.countFails = 'OperationalError: gone';
    await deploy(world, older);
    await until(world, isDone(world));
    expect(record(world).counted).toMatchObject({ rows: counted });
    expect(record(world).failure).toBeUndefined();
  });

  it('are counted anew after each drain: the older counts are not of that database any more', async () => {
    const world = running(newer);
    world.rules = unasked;
    world.copyImpossible = 'cannot';
    const { patchDowngradeStatus } = world.writes;
    let killed = false;
    world.writes.patchDowngradeStatus = async (namespace, name, status, read) => {
      if (!killed && (status.record as { schemaStartedAt?: string } | undefined)?.schemaStartedAt) {
        killed = true;
        world.mode = 'Deny';
        throw new Error('killed');
      }
      return patchDowngradeStatus(namespace, name, status, read);
    };
    await deploy(world, older);
    for (let i = 0; i < 60 && shown(world).reason !== 'PolicyDenies'; i++) {
      await look(world).catch((error) => expect(error.message).toBe('killed'));
      world.tick();
    }
    expect(record(world)).toMatchObject({ counted: { rows: counted } });
    expect(record(world).drainedAt).toBeUndefined();
    world.mode = 'Hold';
    world.rows = { 'public.dag': 5 };
    await until(world, isDone(world));
    expect(record(world).counted).toEqual({ of: record(world).drainedAt, rows: [['public.dag', 5]] });
  });
});
