/**
 * What breaks on the real node in the middle of one run, from 3.2.1 to 3.1.8: API server, disk, the way to the kubelet,
 * network, memory, database, and in the end the older version's own pods. After each: what became of the data, and what a
 * person reads.
 *
 * They fail when (tried on the world in memory, in test/controller/{faults,safety}.test.ts):
 *   disk       backup-way.ts counts the failure of the copy for ever: nobody can have it tried again
 *   kubelet    helper-pods.ts lets the error through: the Downgrade says nothing new while the runner can't be asked
 *   memory     orders.ts starts another runner without a word: nobody reads OOMKilled
 *   database   failure.ts does not list OperationalError: it waits for a person
 *   crashing   resuming.ts leaves the log out: the Downgrade does not say why
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { run } from '../cluster/run/command.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { cutKubelet, cutPort, fill, runOutOfMemory, smallDisk } from './breaking.ts';
import { changedIn, contentsOf } from './contents.ts';
import { lean, leanValues, setting } from './lean.ts';
import { onStage, restartApiServer } from './node.ts';
import { chart, downgradesOf, headsOf, must, psql, untilOver, untilServes } from './place.ts';

const namespace = 'faults';
const minutes = 60_000;
let disk: string;

const place = onStage(namespace, '3.2.1', {}, async (node) => {
  // The database's pod may end, and its files stay.
  disk = await smallDisk(node, 500);
  return setting({ ...leanValues, 'postgresql.volume.hostPath.path': disk });
});

const sql = (text: string, database?: string) => psql(place, namespace, 'af', text, database);
const kubectl = async (...args: string[]) => must(await place.kubectl(['-n', namespace, ...args]));
const server = { namespace, pod: 'af-postgresql-0', name: 'postgresql' };

/** The columns of `kubectl get downgrade -w`, with the sentence. */
async function read() {
  const { metadata, status } = (await downgradesOf(place, namespace, 'af')).at(-1)!;
  const { phase, step, reason, message } = status as Record<string, string>;
  return { name: metadata.name, phase: phase!, step: step!, reason: reason!, message: message! };
}

type Read = Awaited<ReturnType<typeof read>>;

async function untilRead(what: string, is: (said: Read) => boolean): Promise<Read> {
  return await waitFor(
    what,
    6 * minutes,
    async () => {
      const said = await read();
      return is(said) && said;
    },
    300,
  );
}

/** Keeps the first reverse script that drops a table waiting for as long as a row is there, as a table of millions would. */
const slow = `
INSERT INTO variable (key, val, is_encrypted) SELECT 'kept ' || n, md5(n::text), false FROM generate_series(1, 500) n;
INSERT INTO log (dttm, event) SELECT now(), 'kept' FROM generate_series(1, 500);
CREATE TABLE kept_waiting (why text);
INSERT INTO kept_waiting VALUES ('a big table');
CREATE FUNCTION keep_waiting() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN WHILE EXISTS (SELECT FROM kept_waiting) LOOP PERFORM pg_sleep(0.1); END LOOP; END $$;
CREATE EVENT TRIGGER keep_waiting ON ddl_command_start WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION keep_waiting()`;

const atWork = `SELECT pid FROM pg_stat_activity WHERE application_name = 'downdraft-runner' AND wait_event = 'PgSleep'`;

/** The server's process that runs the slow script. */
async function untilAtWork(before = ''): Promise<string> {
  return await waitFor(
    'a reverse script is at work',
    6 * minutes,
    async () => {
      const pid = (await sql(atWork)).trim();
      return pid !== '' && pid !== before && pid;
    },
    500,
  );
}

describe('before anything is changed', () => {
  let before: Record<string, string>;

  it(
    'the API server is restarted while it plans: the same run goes on by itself',
    async () => {
      await sql(slow);
      before = await contentsOf(place, namespace, 'af');
      const upgrade = ['upgrade', 'af', chart, '-n', namespace, '--no-hooks', '--reuse-values', ...lean('3.1.8')];
      must(await place.helm(upgrade));
      const { name } = await untilRead('it plans', ({ phase }) => phase === 'Planning');
      await fillDisk();
      await restartApiServer(place);
      const later = await untilRead('it drains', ({ phase }) => phase !== 'Planning');
      expect(later.name).toBe(name);
    },
    15 * minutes,
  );

  let makeRoom: () => Promise<void>;

  /** The server has files for its log in stock: one that it can't make would end it. */
  async function fillDisk(): Promise<void> {
    for (const _ of [1, 2]) {
      await sql('SELECT pg_switch_wal()');
      await sql('CHECKPOINT');
    }
    makeRoom = await fill(disk, 5);
  }

  /**
   * Read: "no copy will be made (no copy on the server: the server's disk is full: could not write to file …: No space left
   * on device (…)): name a backup of your own, or who waives it. To try the copy again, once what stood in its way is gone:
   * kubectl … '{"spec":{"backup":{"copyAgain":1}}}'  To agree: …"
   */
  it(
    'S2-9: the disk is full: 3.2.1 starts again, it asks, and once there is room the copy is made when someone says so',
    async () => {
      const asked = await untilRead('the question', ({ reason }) => reason === 'AwaitingApproval');
      expect(asked.message).toMatch(/^no copy will be made .*the server's disk is full: .*No space left on device/);
      await waitFor('every pod of 3.2.1 may start again', 6 * minutes, nothingGated);
      expect(await headsOf(place, namespace, 'af')).toEqual({ core: '1d6611b6ab7c', fab: '02ca36b0235b' });
      expect(await sql(`SELECT count(*) FROM pg_database WHERE datname LIKE 'downdraft%'`)).toBe('0\n');
      expect(changedIn(before, await contentsOf(place, namespace, 'af')).filter((t) => !alive.includes(t))).toEqual([]);
      await makeRoom();
      const typed = /once what stood in its way is gone: (kubectl .*?\}')/.exec(asked.message)![1]!;
      await run('sh', ['-c', typed], { env: { ...process.env, ...place.cluster.env } });
      await untilRead('the schema step', ({ phase }) => phase === 'Downgrading');
      const { backup } = (await downgradesOf(place, namespace, 'af')).at(-1)!.status!.record!;
      expect(backup).toMatchObject({ way: 'ServerCopy', tries: 1, verifiedAt: expect.any(String) });
    },
    15 * minutes,
  );
});

/** What a running Airflow writes by itself. */
const alive = ['dag_bundle', 'job', 'log', 'session'];

interface PodSeen {
  metadata: { name: string };
  spec: { containers: { name: string; image: string }[]; schedulingGates?: object[] };
}

async function nothingGated(): Promise<boolean> {
  const pods = await place.list<PodSeen>('pods', namespace, '-l', 'release=af,tier=airflow');
  const old = pods.filter((p) => p.spec.containers[0]!.image.endsWith(':3.2.1'));
  return old.length >= 4 && old.every((p) => !p.spec.schedulingGates?.length);
}

describe('in the schema step', () => {
  let pid: string;
  let before: Record<string, string>;
  const expectUntouched = async () => {
    expect(changedIn(before, await contentsOf(place, namespace, 'af'))).toEqual([]);
  };

  /** Read: "pod/af-…-runner can't be asked how far it is: exec …: connection reset by peer", and then how far it is. */
  it(
    'G19: all streams to the kubelet are cut: it says so, and the runner works on',
    async () => {
      pid = await untilAtWork();
      before = await contentsOf(place, namespace, 'af');
      const mend = await cutKubelet(place);
      try {
        await untilRead('it can’t ask', ({ message }) => /-runner can't be asked how far it is: /.test(message));
      } finally {
        await mend();
      }
      await untilRead('how far it is', ({ reason }) => reason === 'Downgrading');
      expect(await untilAtWork()).toBe(pid);
      await expectUntouched();
    },
    15 * minutes,
  );

  /** Read: nothing new, for nothing is lost: "core 5/22: …". */
  it(
    'S2-31: the network to the database is gone for 30 s: the step outlives it',
    async () => {
      const mend = await cutPort(place, server, 5432);
      // Longer than the 25 s after which the runner's own keepalives give a connection up.
      await delay(30_000).finally(mend);
      expect(await untilAtWork()).toBe(pid);
      await untilRead('how far it is', ({ reason }) => reason === 'Downgrading');
      await expectUntouched();
    },
    15 * minutes,
  );

  /** Read: "pod/af-…-runner ended: OOMKilled with exit code 137; it says "…"; it is tried again in 20 s". */
  it(
    'S2-31: the runner has no memory left: it says so, the script is rolled back, and a new runner begins it again',
    async () => {
      const [runner] = await place.list<PodSeen>('pods', namespace, '-l', 'downdraft.dev/role=runner');
      await runOutOfMemory(place, { namespace, pod: runner!.metadata.name, name: runner!.spec.containers[0]!.name });
      const { reason, message, step } = await untilRead('the end', ({ message }) => /OOMKilled/.test(message));
      expect(reason).toBe('DowngradeFailed');
      expect(message).toMatch(
        /^pod\/af-\w+-runner ended: OOMKilled with exit code 137; it says ".*Running downgrade \w+ -> \w+/,
      );
      expect(step).toContain('OOMKilled');
      pid = await untilAtWork(pid);
      await expectUntouched();
    },
    15 * minutes,
  );

  /** Read: "(psycopg2.OperationalError) server closed the connection unexpectedly …; it is tried again in 20 s". */
  it(
    'S2-31: the database is killed and starts again: the script is rolled back and begun again by itself',
    async () => {
      await kubectl('delete', 'pod', server.pod, '--grace-period=1');
      const lost = ({ reason, message }: Read) => reason === 'DowngradeFailed' && !/OOMKilled/.test(message);
      const { message } = await untilRead('the failure', lost);
      expect(message).toMatch(/connection/);
      pid = await untilAtWork(pid);
      await expectUntouched();
    },
    15 * minutes,
  );
});

describe('after the schema step', () => {
  const setting = 'AIRFLOW__CORE__EXECUTOR';

  /** Read: "deployment/af-scheduler not Ready: pod/af-scheduler-… : scheduler ended with exit code 1; it says "…"". */
  it(
    'the older pods end again and again: it names one with its own last words, and goes on once the cause is mended',
    async () => {
      await kubectl('set', 'env', 'deployment/af-scheduler', `${setting}=NoSuchExecutor`);
      await sql('DELETE FROM kept_waiting');
      const { phase, message } = await untilRead('why', ({ message }) => /ended with exit code/.test(message));
      expect(phase).toBe('Resuming');
      expect(message).toMatch(
        /deployment\/af-scheduler not Ready: pod\/af-scheduler-\S+: scheduler ended with exit code 1; it says ".*NoSuchExecutor/,
      );
      await kubectl('set', 'env', 'deployment/af-scheduler', `${setting}-`);
      const { status } = await untilOver(place, namespace, 'af', 0, 6 * minutes);
      expect(status).toMatchObject({ phase: 'Done', reason: 'Downgraded' });
      await untilServes(place, namespace, 'af', '3.1.8');
      expect(await headsOf(place, namespace, 'af')).toEqual({ core: '509b94a1042d', fab: '6709f7a774b9' });
      const copy = await contentsOf(place, namespace, 'af', status!.record!.backup!.name ?? '');
      const changed = changedIn(copy, await contentsOf(place, namespace, 'af'));
      expect(changed.filter((table) => ![...versions, ...reversed, ...alive].includes(table))).toEqual([]);
    },
    15 * minutes,
  );
});

const versions = ['alembic_version', 'alembic_version_fab', 'kept_waiting'];

/** Tables of 3.2 that 3.1 does not have, or has under another name. */
const reversed = [
  'asset_partition_dag_run',
  'asset_watcher',
  'callback',
  'deadline_alert',
  'hitl_detail_history',
  'partitioned_asset_key_log',
  'revoked_token',
];
