/** A release may be called whatever a label can say: every name that is made of it is one that an object can have. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isObjectName } from '../../src/cluster/client/paths.ts';
import { gateConfiguration, gateConfigurationName } from '../../src/cluster/drain-webhook.ts';
import { askedObject } from '../../src/release/downgrade/snapshots.ts';
import { newDowngrade } from '../../src/release/kubernetes/downgrade.ts';
import { probePod, runnerPod, triggersName, triggersPod } from '../../src/release/kubernetes/helper-pods.ts';
import { partOfName } from '../../src/release/kubernetes/object-names.ts';
import { runLabel } from '../../src/release/model/kubernetes.ts';
import { makePod } from '../make/pod.ts';
import { makeRun, makeWorkload } from '../make/release.ts';

const labelValue = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const anyRelease = fc
  .stringMatching(/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/)
  .filter((r) => labelValue.test(r));
const ordinary = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,54}[a-z0-9])?$/).filter((r) => !/(^|-)x[0-9a-f]{8}$/.test(r));

const odd = [
  'a',
  'A',
  '0',
  'My_Airflow',
  'my.airflow',
  'a..b',
  'a._-b',
  'UPPER',
  'a-x0123abcd',
  'x0123abcd',
  'a'.repeat(56),
  'a'.repeat(57),
  'a'.repeat(63),
  'A'.repeat(63),
  `${'a'.repeat(55)}-b`,
  `a${'_'.repeat(61)}b`,
  `a${'.'.repeat(61)}b`,
]; // prettier-ignore

/** Everything that is made of a release's name or of its run's. */
function made(release: string, run?: string) {
  const downgrade = newDowngrade({ namespace: 'air', release, to: 'apache/airflow:3.1.8', heldSince: 'x' });
  const name = run ?? downgrade.metadata.name;
  const wanted = { run: name, namespace: 'air', release, profile: 'official' as const, command: ['x'] };
  const asked = makeRun({ name, status: { drainedAt: '2026-11-21T12:00:01.000Z' } });
  const pods = [
    probePod(makeWorkload(), wanted),
    triggersPod(makeWorkload(), wanted, triggersName(asked), []),
    runnerPod(makePod({ release }), wanted),
  ];
  const backup = askedObject(asked, 'VolumeSnapshot', { volumeSnapshot: { claim: 'x' } } as never, 'air');
  const gate = gateConfiguration('air', release, { url: 'https://x' });
  const objects = [downgrade, ...pods, backup, gate] as {
    metadata: { name: string; labels?: Record<string, string> };
  }[];
  return { downgrade, pods, gate, objects };
}

function expectValid(release: string, run?: string): void {
  for (const { metadata } of made(release, run).objects) {
    expect(isObjectName(metadata.name), metadata.name).toBe(true);
    for (const value of Object.values(metadata.labels ?? {})) expect(value).toMatch(labelValue);
  }
}

describe('names that are made of a release', () => {
  it.each(odd)('%s: are ones that objects can have', (release) => expectValid(release));

  it('are so for whatever a label can say', () => {
    fc.assert(
      fc.property(anyRelease, (release) => expectValid(release)),
      { numRuns: 500 },
    );
  });

  it('are as they ever were for an ordinary one', () => {
    fc.assert(
      fc.property(ordinary, (release) => {
        const { downgrade, pods, gate } = made(release);
        expect(downgrade.metadata.name).toMatch(new RegExp(`^${release}-[0-9a-f]{6}$`));
        expect(pods.map((p) => p.metadata.name)).toEqual(
          ['probe', 'triggers-0', 'runner'].map((what) => `${downgrade.metadata.name}-${what}`),
        );
        expect(pods[0]!.metadata.labels![runLabel]).toBe(downgrade.metadata.name);
        expect(gate.metadata.name).toBe(`downdraft-drain-air.${release}`);
      }),
      { numRuns: 300 },
    );
  });

  it('are still read by people', () => {
    expect(made('My_Airflow').gate.metadata.name).toMatch(/^downdraft-drain-air\.my-airflow-x[0-9a-f]{8}$/);
    expect(made('My_Airflow').downgrade.metadata.name).toMatch(/^my-airflow-x[0-9a-f]{8}-[0-9a-f]{6}$/);
  });

  it('are never those of another release, nor of one that is called as a derived name is', () => {
    const names = new Map<string, string>();
    const all = [
      ...odd,
      ...odd.map((release) => partOfName(release, 63)),
      ...odd.map((release) => partOfName(release, 56)),
    ];
    for (const release of new Set(all)) {
      const name = gateConfigurationName('air', release);
      expect([release, names.get(name) ?? release]).toEqual([release, release]);
      names.set(name, release);
    }
    fc.assert(
      fc.property(anyRelease, anyRelease, (a, b) => a === b || partOfName(a, 63) !== partOfName(b, 63)),
      { numRuns: 500 },
    );
    expect(partOfName('../../x', 63)).toMatch(/^x-x[0-9a-f]{8}$/);
  });
});

describe('names that are made of a run', () => {
  it.each(['mine', 'a'.repeat(253), `a.${'b'.repeat(250)}`, 'a'.repeat(64)])('%s: a person may call one so', (run) =>
    expectValid('af', run),
  );
});
