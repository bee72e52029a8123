/**
 * What a record says is what was written into it: by us, or by anybody who may write `downgrades/status`. It leads to
 * nothing outside of the release's own namespace that the policy in force does not name, and to no database, dump or object
 * of another run.
 */
import { describe, expect, it } from 'vitest';
import type { Reads, Writes } from '../../src/controller/ports.ts';
import { defaultRules, type Rules } from '../../src/release/model/policy.ts';
import { leavesOf, withLeaf } from '../make/leaves.ts';
import type { World } from '../make/world-parts.ts';
import { look, newer, older, record, running, setImage, until } from './place.ts';

type Backup = Partial<Rules['backup']> & { abort?: boolean };

/** A name that a namespace, a database, a folder or an object can have, and that is none of this release's. */
const foreign = 'payments';
const snapshots: Backup = { ways: ['VolumeSnapshot'], volumeSnapshot: { claim: 'data-db-0', namespace: 'db' } };
const cnpg: Backup = { ways: ['CNPGBackup'], cnpg: { cluster: 'pg', namespace: 'db' } };
const dumps: Backup = { ways: ['Dump'], dump: { claim: 'backups' } };

async function begun(backup: Backup = {}): Promise<World> {
  const world = running(newer);
  world.rules = { ...defaultRules, backup: { ...defaultRules.backup, ...backup } };
  setImage(world, older);
  await look(world);
  return world;
}

/** Every question and every write, with where it leads to. */
function watched(world: World): { reads: Reads; writes: Writes; elsewhere: string[] } {
  const elsewhere: string[] = [];
  const watch = <T extends object>(ways: T): T =>
    Object.fromEntries(
      Object.entries(ways).map(([name, way]) => [
        name,
        (...args: unknown[]) => {
          if (leads(name, args)) elsewhere.push(`${name} ${JSON.stringify(args)}`);
          return (way as (...a: unknown[]) => unknown)(...args);
        },
      ]),
    ) as T;
  const writes = watch(world.writes);
  // The runner would go on with what it was told, whatever is put back here.
  return {
    reads: watch(world.reads),
    writes: { ...writes, writeFile: watch({ writeFile: async () => {} }).writeFile },
    elsewhere,
  };
}

/** Whether a call names what is not the release's: as its namespace, as its object, or in the orders for the runner. */
function leads(name: string, args: unknown[]): boolean {
  // An image is asked about at its registry, a patch is of the record itself, an event tells people.
  if (['registry', 'digest', 'patchDowngradeStatus', 'event', 'learnImage', 'forgetImage'].includes(name)) return false;
  if (name === 'writeFile') return JSON.stringify(args.at(-1)).includes(`\\"name\\":\\"${foreign}\\"`);
  return args.some((arg) => {
    const { namespace, metadata, name: named } = (arg ?? {}) as Record<string, unknown> & { metadata?: object };
    return [arg, namespace, named, (metadata as { namespace?: string } | undefined)?.namespace].includes(foreign);
  });
}

const stages: [string, Backup, (world: World) => boolean][] = [
  ['a snapshot is awaited', snapshots, (w) => w.backups.length > 0],
  ['a backup of CloudNativePG is awaited', cnpg, (w) => w.backups.length > 0],
  ['a dump is due', dumps, (w) => record(w).backup?.way === 'Dump'],
  ['a copy is due', {}, (w) => record(w).backup?.way === 'ServerCopy'],
  ['the schema is reversed', {}, (w) => record(w).progress?.kind === 'core'],
  ['a copy is restored', { abort: true }, (w) => Boolean(record(w).returnStartedAt)],
  ['a dump is loaded again', { ...dumps, abort: true }, (w) => Boolean(record(w).returnStartedAt)],
];

/** What can be seen of a world, to be put back. */
function dataOf(world: World): Partial<World> {
  return structuredClone(Object.fromEntries(Object.entries(world).filter(([, value]) => !holdsFunctions(value))));
}

function holdsFunctions(value: unknown): boolean {
  return typeof value === 'function' || Object.values(value ?? {}).some((one) => typeof one === 'function');
}

describe('whatever the record of a run says', () => {
  it.each(stages)('while %s, nothing is looked at, made or ordered elsewhere', async (_, { abort, ...backup }, due) => {
    const world = await begun(backup);
    const wanted = abort ? (w: World) => Boolean(record(w).schemaStartedAt) : due;
    await until(world, wanted);
    if (abort) world.downgrades[0]!.spec.abort = true;
    await until(world, due);
    const before = dataOf(world);
    const told = leavesOf(record(world));
    expect(told.length).toBeGreaterThan(20);
    const odd = new Set<string>();
    for (const leaf of told) {
      Object.assign(world, structuredClone(before));
      world.downgrades[0]!.status!.record = withLeaf(record(world), leaf, foreign);
      const { reads, writes, elsewhere } = watched(world);
      for (let i = 0; i < 3; i++) {
        await look(world, { reads, writes }).catch((error: Error) => odd.add(`${leaf.join('.')}: ${error.message}`));
        world.tick();
      }
      expect([leaf.join('.'), elsewhere]).toEqual([leaf.join('.'), []]);
    }
    expect([...odd]).toEqual([]);
  });
});
