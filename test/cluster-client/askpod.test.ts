import { describe, expect, it } from 'vitest';
import { type Client, connect } from '../../src/cluster/client/client.ts';
import { askPod } from '../../src/cluster/exec/ask-pod.ts';
import { digestSettings } from '../../src/cluster/exec/digest-settings.ts';
import { digested } from '../../src/release/model/runner.ts';
import { type FakeKubelet, onFakeKubelet, startFakeKubelet } from './kubelet.ts';

let dir: string;
let kubelet: FakeKubelet;
let client: Client;

onFakeKubelet((started) => {
  ({ dir, kubelet, client } = started);
});

/** Asks with a program of sh in place of the one in Python. */
const ask = (script: string, timeoutMs = 10_000) =>
  askPod(client, 'air', 'scheduler-0', 'scheduler', timeoutMs, ['sh', '-c', script]);
const says = (answer: unknown) => `cat <<'END'\nDOWNDRAFT-DATABASE ${JSON.stringify(answer)}\nEND\n`;
const why = async (script: string, timeoutMs?: number) => {
  const { database } = await ask(script, timeoutMs);
  return database.state === 'unreadable' ? database.why : `was read: ${JSON.stringify(database)}`;
};

const identity = { database: 'airflow', oid: '16384', cluster: '77' };
const read = { versionTables: { alembic_version: ['509b94a1042d'] }, airflowTables: true, identity };

describe('a running pod is asked for the database', () => {
  it('its line becomes the state; what stands beside it is told apart', async () => {
    const session = { pid: 7, user: 'air', application: 'x', client: '10.0.0.9', state: 'idle' };
    const answer = { backend: 'mysql', schema: null, ...read, sessions: [{ ...session, query: 'select 1' }] };
    expect(await ask(`echo noise; ${says(answer)}`)).toEqual({
      database: { state: 'read', ...read },
      backend: 'mysql',
      sessions: [session],
    });
  });

  it('a backend that can not tell sessions tells none: no empty list', async () => {
    const answer = await ask(says({ backend: 'sqlite', ...read }));
    expect(answer).not.toHaveProperty('sessions');
  });

  it.each(['v5.channel.k8s.io', 'v4.channel.k8s.io'])(
    'the whole program arrives over %s, also a long one',
    async (p) => {
      kubelet.fault.protocols = [p];
      expect(await ask(`${'# größer als eine URL\n'.repeat(3000)}${says(read)}`)).toMatchObject({ database: read });
    },
  );

  it('the program is told to end before the stream is given up', async () => {
    expect(await why('echo "DOWNDRAFT-DATABASE {\\"error\\": \\"$DOWNDRAFT_ASK_SECONDS\\"}"', 8000)).toBe(
      'asked in pod/scheduler-0: 7.2',
    );
  });

  it('a line that came whole counts, though the stream ended without a status', async () => {
    kubelet.fault.withoutStatus = true;
    expect(await ask(says(read))).toMatchObject({ database: { state: 'read' } });
  });
});

describe('a running pod is asked for keyed digests of its settings', () => {
  const digests = Object.fromEntries(digested.map((name) => [name, '0a'.repeat(32)]));
  const line = (answer: unknown) => `cat <<'END'\nDOWNDRAFT-DIGESTS ${JSON.stringify(answer)}\nEND\n`;
  const digest = (script: string) =>
    digestSettings(client, 'air', 'scheduler-0', 'scheduler', 10_000, ['sh', '-c', script]);

  it('its line becomes the answer', async () => {
    expect(await digest(`echo noise; ${line({ digests })}`)).toEqual({ told: digests });
  });

  it.each([
    [
      'its own error',
      `${line({ error: 'no airflow that runs here\nshows it', kind: 'X' })}exit 1`,
      /^no airflow that .* it$/,
    ],
    ['a value for a digest', line({ digests: { ...digests, fernet_key: 'secret' } }), /fernet_key is no digest$/],
    ['nothing said', 'echo a-secret >&2; exit 3', /^said nothing \(exit code 3\)$/],
    ['a line of another program', says(read), /^said nothing/],
  ])('%s is no answer, and says why without a value', async (_, script, sentence) => {
    const answer = await digest(script);
    expect(answer).toEqual({ fault: expect.stringMatching(sentence) });
    expect(JSON.stringify(answer)).not.toContain('secret');
  });

  it('no right is no answer', async () => {
    kubelet.fault.refuse = { status: 403, body: JSON.stringify({ kind: 'Status', message: 'is forbidden' }) };
    expect(await digest('true')).toEqual({ fault: expect.stringMatching(/can't be asked: .*403.*is forbidden$/) });
  });
});

describe('S1-15: a pod that can not tell says why, in one sentence, and nothing is thrown', () => {
  it.each([
    ['its own error', `${says({ error: 'role\n"air" is\tgone', kind: 'X' })}exit 1`, 'role "air" is gone'],
    ['nothing said', 'echo a-secret >&2; exit 3', 'said nothing (exit code 3)'],
    ['no Python', 'exit 127', 'no Python of this container can import airflow'],
    ['half a line', `printf 'DOWNDRAFT-DATABASE {}'`, 'said nothing (exit code 0)'],
    ['no JSON', `echo 'DOWNDRAFT-DATABASE {'`, 'answered what is not understood'],
    ['no tables', says({ ...read, versionTables: null }), 'answered what is not understood'],
    ['a list for tables', says({ ...read, versionTables: [] }), 'answered what is not understood'],
    ['numbers for heads', says({ ...read, versionTables: { a: [1] } }), 'answered what is not understood'],
    ['no word on tables', says({ ...read, airflowTables: undefined }), 'answered what is not understood'],
    ['half an identity', says({ ...read, identity: { oid: '1' } }), 'answered what is not understood'],
  ])('%s', async (_, script, sentence) => {
    expect(await why(script)).toBe(`asked in pod/scheduler-0: ${sentence}`);
  });

  it('no answer in time', async () => {
    expect(await why('sleep 30', 400)).toBe('asked in pod/scheduler-0: no answer: timed out after 400 ms');
  });

  it('no right, no such pod, no such container', async () => {
    const status = { kind: 'Status', reason: 'Forbidden', message: 'pods "scheduler-0" is forbidden' };
    kubelet.fault.refuse = { status: 403, body: JSON.stringify(status) };
    expect(await why('true')).toMatch(/^asked in pod\/scheduler-0: may not or can't be asked: .*403.*is forbidden$/);
  });

  it('a shell that is not there', async () => {
    const { database } = await askPod(client, 'air', 'p', 'c', 5000, ['no-such-program', 'x']);
    expect(database).toMatchObject({ state: 'unreadable', why: expect.stringMatching(/^asked in pod\/p: /) });
  });

  it('nobody there', async () => {
    const nowhere = await startFakeKubelet(dir);
    const lost = connect({ kubeconfig: nowhere.kubeconfig });
    await nowhere.stop();
    const { database } = await askPod(lost, 'air', 'p', 'c', 2000, ['sh', '-c', 'true']);
    expect(database).toMatchObject({ why: expect.stringMatching(/^asked in pod\/p: not reached: .*ECONNREFUSED/) });
    lost.close();
  });

  it('a long answer is cut, with its number of rows, and its keys are only keys', async () => {
    const tables = `{"__proto__": ["x"], "t": ${JSON.stringify(Array.from({ length: 99 }, () => 'y'.repeat(900)))}}`;
    const text = JSON.stringify({ ...read, versionTables: 'TABLES' }).replace('"TABLES"', tables);
    const { database } = await ask(`cat <<'END'\nDOWNDRAFT-DATABASE ${text}\nEND\n`);
    if (database.state !== 'read') throw new Error(database.why);
    expect(Object.keys(database.versionTables)).toEqual(['__proto__', 't']);
    expect(database.versionTables.t).toEqual(Array(20).fill('y'.repeat(300)));
    expect(({} as Record<string, unknown>).x).toBeUndefined();
    const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`t${i}`, []]));
    expect(await why(says({ ...read, versionTables: many }))).toMatch(/not understood/);
  });
});
