/** What is known of a release's images while more than one of them is wanted. */
import { expect, it } from 'vitest';
import type { Reads } from '../../src/controller/ports.ts';
import { asStored } from '../make/writes.ts';
import { deploy, goOn, isDone, makeMaps, newer, outcomes, running, until, withImage } from './place.ts';

it('two images that enforce no provider are both let go after a downgrade, and no run follows another for ever', async () => {
  const world = running(newer);
  const of = (version: string) => (w: (typeof world.workloads)[number]) =>
    withImage(w, `apache/airflow:${version}${w.metadata.name === 'af-scheduler' ? '-python3.12' : ''}`);
  for (const version of ['3.2.1', '3.1.8']) world.contents[`apache/airflow:${version}-python3.12`] = version;
  world.workloads = world.workloads.map((w) => asStored(of('3.2.1')(w), w));
  for (let i = 0; i < 15; i++) world.tick();
  const podLog: Reads['podLog'] = async (...asked) =>
    (await world.reads.podLog(...asked)).replace(/"managers":\[.*?\]\}?\]/, '"managers":[]');
  const options = { maps: makeMaps(), reads: { ...world.reads, podLog } };
  await deploy(world, of('3.1.8'));
  await until(world, isDone(world), options);
  await goOn(world, 40, options);
  expect(outcomes(world)).toEqual(['Downgraded', 'NotNeeded']);
  expect(world.pods.filter((p) => p.status?.phase === 'Running')).toHaveLength(4);
});
