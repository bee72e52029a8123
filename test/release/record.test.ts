/** The Downgrade object: one for one change, whoever writes it and how often. */
import { describe, expect, it } from 'vitest';
import { activeRun, type DowngradeObject, newDowngrade } from '../../src/release/kubernetes/downgrade.ts';

const change = { namespace: 'air', release: 'af', to: 'apache/airflow:3.1.8', heldSince: '2026-11-21T12:00:00.000Z' };
const nameOf = (shape: Partial<typeof change> = {}) => newDowngrade({ ...change, ...shape }).metadata.name;

describe('the name of a record', () => {
  it('is the same for the same change', () => {
    expect(nameOf()).toBe(nameOf());
    expect(nameOf()).toMatch(/^af-[0-9a-f]{6}$/);
  });
  it.each([
    ['image', { to: 'apache/airflow:2.11.0' }],
    ['moment', { heldSince: '2026-11-21T13:00:00.000Z' }],
    ['namespace', { namespace: 'beta' }],
    ['release', { release: 'bf' }],
  ])('is another for another %s', (_, shape) => {
    expect(nameOf(shape)).not.toBe(nameOf());
  });
});

describe('the run of a release', () => {
  const made = (name: string, at: string, record: object = {}, release = 'af'): DowngradeObject => ({
    ...newDowngrade({ ...change, release }),
    metadata: { name, namespace: 'air', creationTimestamp: at },
    status: { record },
  });

  it.each<[string, DowngradeObject[], string | undefined]>([
    ['none', [], undefined],
    ['the one that is open', [made('a', '1', { completedAt: 'x' }), made('b', '2')], 'b'],
    ['the oldest of several', [made('b', '2'), made('a', '1')], 'a'],
    ['by name when they are as old', [made('b', '1'), made('a', '1')], 'a'],
    ['none of another release', [made('a', '1', {}, 'bf')], undefined],
  ])('is %s', (_, objects, name) => {
    expect(activeRun(objects, 'af')?.name).toBe(name);
  });
});
