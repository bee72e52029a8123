/** A release that is called as a label may say, and as no object can be called, is downgraded as any other. */
import { expect, it } from 'vitest';
import { isObjectName } from '../../src/cluster/client/paths.ts';
import { makeWorkloads } from '../make/release.ts';
import { makeWorld } from '../make/world.ts';
import { deployed, look, newer, older } from './place.ts';

it.each([
  ['one character', 'a'],
  ['56 characters', 'a'.repeat(56)],
  ['63 characters', `a${'b'.repeat(61)}c`],
  ['capitals and an underscore', 'My_Airflow'],
  ['a dot', 'my.airflow'],
  ['whatever a label may say', 'A.._-b'],
])('a release of %s goes through a whole run', async (_, release) => {
  const world = makeWorld(makeWorkloads({ image: newer, release }));
  for (let i = 0; i < 8; i++) world.tick();
  expect(new Set(await deployed(world, older))).toEqual(new Set(['DatabaseAhead']));
  const made = new Set<string>();
  const done = () => world.downgrades.some((d) => d.status?.record?.completedAt);
  for (let i = 0; i < 300 && !done(); i++) {
    await look(world, { release });
    world.tick();
    for (const { metadata } of world.pods) if (metadata.labels?.['downdraft.dev/role']) made.add(metadata.name);
  }
  expect(world.downgrades.map((d) => d.status?.record?.outcome)).toEqual(['Downgraded']);
  expect(made.size).toBeGreaterThan(1);
  expect([...made, world.downgrades[0]!.metadata.name].filter((name) => !isObjectName(name))).toEqual([]);
  expect(world.harm).toEqual([]);
});
