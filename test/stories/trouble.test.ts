/**
 * Stories 5, 6, 8 and 9: what goes wrong, on one release that runs 3.2.1 all the time but at the end.
 *
 * They fail when (tried once, on the world in memory):
 *   story 9  checks.ts leaves out `emptied`: the helm upgrade is let through and the migration Job stamps the schema
 *   story 5  helper-pods.ts does not look at waiting reasons: the Downgrade says "asking" for ever
 *   story 6  workloads.ts leaves the release out of what belongs together: the other release is drained, too
 *   story 8  next.ts goes on with a run whose request is withdrawn: the database is downgraded under the newer version
 */
import { describe, expect, it } from 'vitest';
import { waitFor } from '../cluster/run/wait.ts';
import { lean, leanValues, setting } from './lean.ts';
import { onStage } from './node.ts';
import {
  chart,
  downgradesOf,
  headsOf,
  installAirflow,
  must,
  psql,
  setImage,
  untilOver,
  untilServes,
  workloadsOf,
} from './place.ts';

const namespace = 'trouble';
const minutes = 60_000;
const newerHeads = { core: '1d6611b6ab7c', fab: '02ca36b0235b' };
const place = onStage(namespace, '3.2.1', {}, async () => setting(leanValues));

interface PodSeen {
  metadata: { uid: string; labels: Record<string, string>; ownerReferences?: { kind: string }[] };
  status: { conditions?: { type: string; status: string }[] };
}

/** The pods of the release, but those of Jobs: a hook's may still be going. */
async function podsOf(release: string): Promise<PodSeen[]> {
  const all = await place.list<PodSeen>('pods', namespace, '-l', `tier=airflow,release=${release}`);
  return all.filter(({ metadata }) => metadata.ownerReferences?.[0]?.kind !== 'Job');
}

const uidsOf = async (release: string) => (await podsOf(release)).map((p) => p.metadata.uid).sort();

/** Pods of Airflow's own that are Ready. */
async function servingOf(release: string): Promise<string[]> {
  const own = (await podsOf(release)).filter(({ metadata }) => !metadata.labels['downdraft.dev/role']);
  const ready = own.filter((p) => p.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'));
  return ready.map((p) => p.metadata.uid).sort();
}

const upgrade = (version: string, ...more: string[]) =>
  place.helm(['upgrade', 'af', chart, '-n', namespace, ...more, ...lean(version)]);

/** Runs `act` while another client keeps a session open, for which the drain waits: until then no schema step begins. */
async function lingering<T>(act: () => Promise<T>): Promise<T> {
  const session = psql(place, namespace, 'af', "SET application_name = 'lingering'; SELECT pg_sleep(600)");
  const ended = session.then(
    () => 'by itself',
    () => 'by us',
  );
  const isThere = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lingering'";
  await waitFor('the session', minutes, async () => (await psql(place, namespace, 'af', isThere)).trim() === '1');
  try {
    return await act();
  } finally {
    const end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lingering'";
    await psql(place, namespace, 'af', end);
    expect(await ended).toBe('by us');
  }
}

describe('story 9: a denial is read in the output of helm and of kubectl', () => {
  it(
    'G12: a target below 2.7.0',
    async () => {
      const before = await uidsOf('af');
      const said = await upgrade('2.6.3', '--timeout', '2m');
      expect(said.ok).toBe(false);
      expect(said.stderr).toMatch(
        /admission webhook "(record|workloads)\.downdraft\.dev" denied the request: downdraft: deployment\/af-\S+: image 2\.6\.3 is below 2\.7\.0/,
      );
      expect(said.stderr).toContain('choose 2.7.0 or newer');
      const kubectl = await setImage(place, namespace, 'deployment/af-scheduler', '2.6.3');
      expect(kubectl.ok).toBe(false);
      expect(kubectl.stderr).toContain('downdraft: deployment/af-scheduler: image 2.6.3 is below 2.7.0');
      expect(await uidsOf('af')).toEqual(before);
      expect(await downgradesOf(place, namespace, 'af')).toEqual([]);
    },
    5 * minutes,
  );

  it(
    'G8 (S2-43): an emptied version table',
    async () => {
      await psql(
        place,
        namespace,
        'af',
        'CREATE TABLE kept AS SELECT * FROM alembic_version; DELETE FROM alembic_version',
      );
      try {
        const said = await upgrade('3.1.8', '--timeout', '2m');
        expect(said.ok).toBe(false);
        expect(said.stderr).toContain('alembic_version is empty but tables of Airflow exist');
        expect(said.stderr).toContain('Put the revision back');
        const kubectl = await setImage(place, namespace, 'statefulset/af-triggerer', '3.1.8');
        expect(kubectl.ok).toBe(false);
        expect(kubectl.stderr).toContain('statefulset/af-triggerer: alembic_version is empty');
      } finally {
        await psql(place, namespace, 'af', 'INSERT INTO alembic_version SELECT * FROM kept; DROP TABLE kept');
      }
      expect(await headsOf(place, namespace, 'af')).toEqual(newerHeads);
      must(await upgrade('3.2.1', '--timeout', '5m'));
    },
    8 * minutes,
  );
});

describe('story 5', () => {
  it(
    'a target image that cannot be pulled touches nothing, says why, and setting it back ends it cleanly',
    async () => {
      const before = await uidsOf('af');
      for (const name of workloadsOf('af')) must(await setImage(place, namespace, name, '3.1.7'));
      await waitFor('the Downgrade says that the image is not there', 3 * minutes, async () => {
        const status = (await downgradesOf(place, namespace, 'af')).at(-1)?.status;
        return (
          status?.reason === 'TargetImageNotStarted' && /ErrImagePull|ImagePullBackOff/.test(String(status.message))
        );
      });
      expect(await servingOf('af')).toEqual(before);
      for (const name of workloadsOf('af')) must(await setImage(place, namespace, name, '3.2.1'));
      const over = await untilOver(place, namespace, 'af');
      expect(over.status).toMatchObject({ phase: 'Canceled', reason: 'Canceled' });
      await untilServes(place, namespace, 'af', '3.2.1');
      // Runner and probe end with their own grace.
      await waitFor('only the pods from before are left', minutes, async () => {
        return JSON.stringify(await uidsOf('af')) === JSON.stringify(before);
      });
      expect(await headsOf(place, namespace, 'af')).toEqual(newerHeads);
    },
    10 * minutes,
  );
});

const last = async () => (await downgradesOf(place, namespace, 'af')).at(-1)!;
const runs = async () => (await downgradesOf(place, namespace, 'af')).length;
const count = async (table: string) => Number(await psql(place, namespace, 'af', `SELECT count(*) FROM ${table}`));

describe('story 8 (G34): helm --atomic gives up in the middle', () => {
  it(
    'before the schema step: the request is withdrawn and the newer version serves again',
    async () => {
      const before = await runs();
      // Planning may take half of it on a busy machine.
      const said = await lingering(() => upgrade('3.1.8', '--atomic', '--timeout', '40s'));
      expect(said.ok).toBe(false);
      const over = await untilOver(place, namespace, 'af', before);
      expect(over.status).toMatchObject({ phase: 'Canceled' });
      expect(over.status?.record?.schemaStartedAt).toBeUndefined();
      expect(over.status?.record?.drainStartedAt).toBeDefined();
      await untilServes(place, namespace, 'af', '3.2.1');
      expect(await headsOf(place, namespace, 'af')).toEqual(newerHeads);
    },
    12 * minutes,
  );

  it(
    'of it (S2-39): the copy takes its place again, and 3.2.1 serves on it',
    async () => {
      await psql(place, namespace, 'af', inTheWay);
      const before = await runs();
      const logged = await count('log');
      const said = await upgrade('3.1.8', '--atomic', '--timeout', '75s');
      expect(said.ok).toBe(false);
      const over = await untilOver(place, namespace, 'af', before);
      expect(over.status).toMatchObject({ phase: 'Returned', reason: 'Returned' });
      expect(over.status?.record).toMatchObject({ returnBy: 'Wish', backup: { way: 'ServerCopy' } });
      await untilServes(place, namespace, 'af', '3.2.1');
      expect(await headsOf(place, namespace, 'af')).toEqual(newerHeads);
      expect(await count('log')).toBeGreaterThanOrEqual(logged);
    },
    12 * minutes,
  );
});

/** A view of somebody's own on a table that a reverse script of 3.2 drops: the schema step fails in its middle. */
const inTheWay = 'CREATE VIEW ours AS SELECT id FROM deadline_alert';

describe('a schema step that fails (S2-39, G22)', () => {
  it(
    'it says what failed and stays drained; spec.abort brings data and templates back, and the same change is refused',
    async () => {
      const before = await runs();
      expect(await count('ours')).toBe(0);
      for (const name of workloadsOf('af')) must(await setImage(place, namespace, name, '3.1.8'));
      await waitFor('the step fails', 5 * minutes, async () => (await last()).status?.reason === 'DowngradeFailed');
      const { metadata, status } = await last();
      expect(status?.message).toContain('deadline_alert');
      expect(status?.message).toContain('other objects depend on it');
      expect(await servingOf('af')).toEqual([]);
      const abort = ['patch', 'downgrade', metadata.name, '--type', 'merge', '-p', '{"spec":{"abort":true}}'];
      must(await place.kubectl(['-n', namespace, ...abort]));
      const over = await untilOver(place, namespace, 'af', before);
      expect(over.status).toMatchObject({ phase: 'Returned', reason: 'Returned' });
      await untilServes(place, namespace, 'af', '3.2.1');
      expect(await headsOf(place, namespace, 'af')).toEqual(newerHeads);
      expect(await count('ours')).toBe(0);
      const again = await setImage(place, namespace, 'deployment/af-scheduler', '3.1.8');
      expect(again.ok).toBe(false);
      expect(again.stderr).toContain(`the downgrade ${metadata.name} to apache/airflow:3.1.8 was aborted`);
    },
    12 * minutes,
  );
});

describe('story 6 (S1-5, G14): two releases in one namespace', () => {
  /** Of the other one, a scheduler and its database are enough. */
  const alone = { ...leanValues, 'apiServer.replicas': '0', 'dagProcessor.replicas': '0', 'triggerer.replicas': '0' };

  it(
    'once the aborted Downgrade is deleted, only the right one is touched; and story 8: without --atomic it goes on by itself',
    async () => {
      await psql(place, namespace, 'af', 'DROP VIEW IF EXISTS ours');
      must(await place.kubectl(['-n', namespace, 'delete', 'downgrade', (await last()).metadata.name]));
      await installAirflow(place, namespace, 'bystander', '3.2.1', setting(alone));
      const before = await uidsOf('bystander');
      const earlier = await runs();
      const said = await lingering(() => upgrade('3.1.8', '--timeout', '20s'));
      expect(said.ok).toBe(false);
      expect(said.stderr).toMatch(/timed out/);
      const over = await untilOver(place, namespace, 'af', earlier);
      expect(over.status).toMatchObject({ phase: 'Done', reason: 'Downgraded' });
      await untilServes(place, namespace, 'af', '3.1.8');
      expect(await headsOf(place, namespace, 'af')).toEqual({ core: '509b94a1042d', fab: '6709f7a774b9' });
      expect(await uidsOf('bystander')).toEqual(before);
      expect(await headsOf(place, namespace, 'bystander')).toEqual(newerHeads);
      must(await upgrade('3.1.8', '--timeout', '5m'));
    },
    20 * minutes,
  );
});
