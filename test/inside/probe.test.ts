import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { probeScript, shellCommand } from '../../src/inside/bundle.ts';
import { explained } from '../../src/release/airflow/log.ts';
import { probeIn } from '../../src/release/model/messages.ts';
import { run } from '../cluster/run/command.ts';
import { airflowEnv, fabManager } from './airflow.ts';
import { type AirflowVersion, ensureVenv } from './venv.ts';

// Nobody listens there: a probe that connected would fail.
const nowhere = 'postgresql://airflow:a-secret-word@127.0.0.1:1/airflow';
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'downdraft-probe-'));
});
afterAll(async () => await rm(home, { recursive: true, force: true }));

async function probe(env: NodeJS.ProcessEnv): Promise<{ lines: string[]; failed: boolean }> {
  const [command, ...args] = shellCommand(probeScript());
  const wrapped = await run('sh', ['-c', '"$@"; echo "exit $?"', 'sh', command!, ...args], { env });
  const lines = wrapped.stdout.trim().split('\n');
  return { lines: lines.slice(0, -1), failed: lines.at(-1) !== 'exit 0' };
}

const answer = (line: string) => {
  const text = line.replace(/^DOWNDRAFT-PROBE /, '');
  const value = JSON.parse(text);
  if (value.error === undefined) expect(probeIn(text)).toEqual({ told: value });
  return value;
};

describe('probe', () => {
  it.each<{ version: AirflowVersion; core: string; fab: string; provider: string }>([
    { version: '3.2.1', core: '1d6611b6ab7c', fab: '02ca36b0235b', provider: '3.6.1' },
    { version: '3.1.8', core: '509b94a1042d', fab: '6709f7a774b9', provider: '3.5.0' },
  ])(
    'S1-13: says in one line, without a database, what $version wants',
    async ({ version, core, fab, provider }) => {
      const { lines, failed } = await probe(airflowEnv(await ensureVenv(version), home, nowhere));
      expect(failed).toBe(false);
      expect(lines).toHaveLength(1);
      expect(answer(lines[0]!)).toEqual({
        airflowVersion: version,
        coreHeads: [core],
        managers: [
          {
            class: fabManager,
            versionTable: 'alembic_version_fab',
            heads: [fab],
            package: 'apache-airflow-providers-fab',
            packageVersion: provider,
          },
        ],
        fernetKeys: ['6b75a76f0e3b'],
        python: expect.stringMatching(/^3\.11\./),
      });
    },
    600_000,
  );

  it('S2-10: tells fingerprints of all Fernet keys, the one that encrypts first; none is none, and one that fails or that each pod makes is not known', async () => {
    const env = airflowEnv(await ensureVenv('3.1.8'), home, nowhere);
    const key = 'AIRFLOW__CORE__FERNET_KEY';
    const both = `MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=, ${env[key]}`;
    const told = await Promise.all(
      [{ [key]: both }, { [key]: '' }, { [key]: undefined, [`${key}_CMD`]: 'false' }, { [key]: undefined }].map(
        async (change) => answer((await probe({ ...env, ...change })).lines[0]!).fernetKeys,
      ),
    );
    expect(told).toEqual([['bf9e5cb7dacf', '6b75a76f0e3b'], [], null, null]);
  }, 60_000);

  it('S3-5, S3-13: managers are those that the configuration names; a space among them is read as this Airflow reads it', async () => {
    const without = { AIRFLOW__CORE__AUTH_MANAGER: undefined };
    const asked = async (version: AirflowVersion, names: string) => {
      const env = { ...airflowEnv(await ensureVenv(version), home, nowhere), ...without };
      return answer((await probe({ ...env, AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS: names })).lines[0]!);
    };
    const spaced = `${fabManager}, ${fabManager}`;
    const told = await Promise.all([asked('3.1.8', fabManager), asked('3.2.1', spaced), asked('3.1.8', spaced)]);
    expect(told[0].managers).toMatchObject([{ class: fabManager }]);
    expect(told[1].managers).toMatchObject([{ class: fabManager }]);
    // Airflow before 3.2 takes no space off, and would not start either.
    expect(explained(told[2].error)).toMatch(/^No module named ' airflow', that is: .*begins with a space/);
  }, 60_000);

  it('knows that 3.1.8 does not ask FAB when FAB is not the auth manager', async () => {
    const env = { ...airflowEnv(await ensureVenv('3.1.8'), home, nowhere), AIRFLOW__CORE__AUTH_MANAGER: undefined };
    expect(answer((await probe(env)).lines[0]!).managers).toEqual([]);
  }, 60_000);

  it('says in one line why an image does not start, without a secret', async () => {
    const env = airflowEnv(await ensureVenv('3.2.1'), home, nowhere);
    const broken = { ...env, AIRFLOW__CORE__AUTH_MANAGER: `gone.Manager${nowhere}` };
    const { lines, failed } = await probe(broken);
    expect(failed).toBe(true);
    expect(lines).toHaveLength(1);
    expect(answer(lines[0]!)).toMatchObject({
      error: expect.any(String),
      kind: expect.stringMatching(/Error|Exception/),
    });
    expect(lines[0]).not.toContain('a-secret-word');
  }, 60_000);
});
