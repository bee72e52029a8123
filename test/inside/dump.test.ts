/** The dump and its restore, on a real PostgreSQL with its own programs and real Airflow. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../cluster/run/wait.ts';
import { clientPrograms } from '../database/clients.ts';
import type { Runner } from './airflow.ts';
import { connectionSetting, heads321, runId } from './copies.ts';
import { type DumpScene, type DumpStage, reverse, spoil, startDumpStage } from './dumps.ts';
import { ensureVenv } from './venv.ts';

const canMount = process.platform === 'linux' && process.getuid?.() === 0;
const oneBack = { kind: 'core', toRevision: '888b59e02a5b' };
// What pg_dump reads and we don't, nor a server process that begins.
const heldAt = 'pg_init_privs';
const holdDump = `BEGIN; LOCK TABLE ${heldAt}`;
const oddPassword = `p'a\\ss "w:ö%@/# `;

let stage: DumpStage;
beforeAll(async () => {
  stage = await startDumpStage();
}, 900_000);
afterEach(() => stage.clear());
afterAll(async () => await stage?.stop());

async function ready(extra?: NodeJS.ProcessEnv): Promise<{ scene: DumpScene; runner: Runner }> {
  const scene = await stage.dumps(extra);
  return { scene, runner: await scene.start() };
}

async function kill(runner: Runner) {
  runner.child.kill('SIGKILL');
  await runner.ended();
}

/** Waits until pg_dump is at work, and held. */
async function isHeld(runner: Runner) {
  await runner.file('progress.json', (progress) => progress.message?.startsWith('dumps') === true);
  await stage.waits(heldAt);
}

/** Permissions of a folder and all below it, as octal digits, each once. */
async function modes(folder: string): Promise<string[]> {
  const names = (await readdir(folder, { recursive: true })).map((name) => join(folder, name));
  const found = await Promise.all([folder, ...names].map(async (name) => (await stat(name)).mode & 0o777));
  return [...new Set(found)].map((mode) => mode.toString(8)).sort();
}

describe('dump and restore', () => {
  it('bring back every table as it was, in a role without rights on the server and with any password (S2-9)', async () => {
    await stage.sql(`CREATE ROLE odd LOGIN IN ROLE airflow PASSWORD '${oddPassword.replaceAll("'", "''")}'`);
    const scene = await stage.dumps({});
    const url = new URL(stage.postgres.url(scene.name, 'odd'));
    const login = `postgresql+psycopg2://odd:${encodeURIComponent(oddPassword)}@${url.host}/${scene.name}?sslmode=disable`;
    await scene.on('CREATE SCHEMA sales; CREATE TABLE sales.orders (id int); INSERT INTO sales.orders VALUES (7)');
    const runner = await scene.start({ [connectionSetting]: login });
    const before = await scene.content();

    const keepUntil = '2036-12-01T00:00:00Z';
    const made = await scene.step(runner, scene.dump, { keepUntil });
    expect(made).toMatchObject({ ok: true });
    const counts = { 'public.log': 3000, 'public.slot_pool': 2, 'public.Odd name, 1': 1 };
    const heads = { 'public.alembic_version': heads321.alembic_version };
    expect(made.facts?.[0]).toMatchObject({ name: scene.copy, path: join(scene.folder, scene.copy), counts, heads });
    expect(Object.keys(made.facts?.[0]?.counts as object)).not.toContain('sales.orders');
    const mark = await scene.mark();
    expect(mark).toMatchObject({ downdraft: runId, of: { database: scene.name }, counts, heads, keepUntil });
    expect(await modes(join(scene.folder, scene.copy))).toEqual(['600', '700']);
    expect(await scene.step(runner, scene.dump)).toMatchObject({ ok: true, facts: [{ rows: mark.rows }] });
    expect(await scene.mark()).toEqual(mark);

    expect(await scene.obey(runner, ...reverse)).toMatchObject({ ok: true });
    expect(Object.keys(await scene.content())).not.toEqual(Object.keys(before));
    await scene.on('UPDATE sales.orders SET id = 8');
    expect(await scene.step(runner, scene.restore)).toMatchObject({ ok: true, facts: [{ restored: true, heads }] });
    expect(await scene.content()).toEqual(before);
    expect(await scene.on('SELECT id FROM sales.orders')).toEqual([{ id: 8 }]);
    expect(await scene.step(runner, scene.restore)).toMatchObject({ ok: true, facts: [{ restored: false }] });

    // As many rows, but not the same: what a conversion leaves.
    await scene.on(`UPDATE log SET event = 'another' WHERE id = 1`);
    expect(await scene.step(runner, scene.restore)).toMatchObject({ ok: true, facts: [{ restored: true }] });
    expect(await scene.content()).toEqual(before);
    expect(runner.printed() + JSON.stringify(mark)).not.toContain(`p'a`);
  }, 240_000);

  it('are refused by name, and nothing is touched (S2-9)', async () => {
    const { scene, runner } = await ready();
    const refusal = async (step: Record<string, unknown>, over: Record<string, unknown> = {}) =>
      (await scene.step(runner, step, over)).error ?? { kind: '', message: '' };
    const folder = join(scene.folder, scene.copy);
    expect((await refusal(scene.restore)).kind).toBe('NoDump');
    for (const name of ['../up', '.hidden', '', 'a/b'])
      expect((await refusal(scene.dump, { name })).kind).toBe('BadOrder');
    await mkdir(folder);
    expect(await refusal(scene.dump)).toMatchObject({
      kind: 'NameTaken',
      message: expect.stringContaining('not touched'),
    });
    await rm(folder, { recursive: true });
    await mkdir(join(scene.folder, 'somebodys'));
    const over = { downdraft: 'run-0', name: 'old', bytes: 9, keepUntil: '2020-01-01T00:00:00Z' };
    for (const [name, mark] of Object.entries({ old: over, kept: { ...over, keepUntil: '2090-01-01T00:00:00Z' } })) {
      await mkdir(join(scene.folder, name));
      await writeFile(join(scene.folder, name, 'downdraft.json'), JSON.stringify(mark));
    }
    expect(await scene.step(runner, scene.dump)).toMatchObject({ ok: true, facts: [{ removed: ['old'] }] });
    expect(await scene.files()).toEqual([scene.copy, 'kept', 'somebodys'].sort());
    expect((await refusal(scene.dump, { run: 'run-2' })).kind).toBe('NameTaken');
    expect((await refusal(scene.restore, { run: 'run-2' })).kind).toBe('NoDump');

    expect(await scene.obey(runner, oneBack)).toMatchObject({ ok: true });
    const reversed = await scene.content();
    await scene.on('CREATE SCHEMA sales; CREATE VIEW sales.dags AS SELECT dag_id FROM public.dag');
    expect(await refusal(scene.restore)).toMatchObject({
      kind: 'OthersDepend',
      message: expect.stringMatching(/^view sales.dags depends on/),
    });
    expect((await scene.described(runner))?.notes).toContainEqual(expect.stringContaining('view sales.dags'));
    await scene.on('DROP VIEW sales.dags');
    const file = join(folder, 'content/toc.dat');
    const whole = await readFile(file);
    await spoil(file);
    expect((await refusal(scene.restore)).kind).toBe('DumpChanged');
    expect((await refusal(scene.dump)).kind).toBe('DumpChanged');
    expect(await scene.content()).toEqual(reversed);
    await writeFile(file, whole);
    expect(await scene.step(runner, scene.restore)).toMatchObject({ ok: true });
    await scene.on(`INSERT INTO slot_pool (pool, slots, include_deferred) VALUES ('p', 1, false)`);
    expect((await refusal(scene.dump)).kind).toBe('DumpStale');
  }, 240_000);

  it('are finished by another runner, wherever the first was killed, and ended for newer orders (S2-9)', async () => {
    const { scene, runner } = await ready();
    const before = await scene.content();
    const holder = await stage.session(scene.name);
    await holder.query(holdDump);
    await scene.order(runner, scene.dump);
    await isHeld(runner);
    await kill(runner);
    await stage.ends(heldAt);
    expect(await scene.files()).toEqual([expect.stringMatching(/^\.downdraft-/)]);

    const second = await scene.start();
    await scene.order(second, scene.dump);
    await isHeld(second);
    await scene.order(second, { ...scene.dump, name: 'another' });
    await waitFor('the end of the first', 60_000, () => second.printed().includes('Superseded'));
    await stage.waits(heldAt);
    await holder.query('COMMIT');
    await waitFor('the dump', 60_000, async () => (await scene.files()).includes('another'));
    expect(await scene.step(second, scene.dump)).toMatchObject({ ok: true });
    expect(await scene.files()).toEqual(['another', scene.copy]);

    expect(await scene.obey(second, oneBack)).toMatchObject({ ok: true });
    const reversed = await scene.content();
    await holder.query('BEGIN; LOCK TABLE "Odd name, 1" IN ACCESS SHARE MODE');
    await scene.order(second, scene.restore);
    await second.file('progress.json', (progress) => progress.message?.startsWith('restores') === true);
    await stage.waits('DROP TABLE');
    const seen = await second.file('progress.json', (p) => p.blockedBy !== undefined);
    expect(seen.blockedBy).toEqual([expect.stringContaining('somebody')]);
    await kill(second);
    await stage.ends('DROP TABLE');
    await holder.query('COMMIT');
    expect(await scene.content()).toEqual(reversed);
    const third = await scene.start();
    expect(await scene.step(third, scene.restore)).toMatchObject({ ok: true, facts: [{ restored: true }] });
    expect(await scene.content()).toEqual(before);
  }, 240_000);
});

it('a dump is given up when a table has fewer rows in its file than in the database (S2-9)', async () => {
  const place = await mkdtemp(join(tmpdir(), 'downdraft-fewer-'));
  const clients = await clientPrograms('newest');
  const fewer = `#!/bin/sh
'${clients}/pg_dump' "$@" || exit
for word; do case "$word" in --file=*) cd "\${word#--file=}" || exit;; --version) exit;; esac; done
biggest=$(ls -S *.dat.gz | head -n 1)
gzip -dc "$biggest" | sed 1d | gzip > draft && mv draft "$biggest"
`;
  await writeFile(join(place, 'pg_dump'), fewer, { mode: 0o755 });
  const { scene, runner } = await ready({ PATH: `${place}:${clients}:${await ensureVenv('3.2.1')}:/usr/bin:/bin` });
  expect((await scene.step(runner, scene.dump)).error).toMatchObject({
    kind: 'DumpDiffers',
    message: 'public.log has 3000 rows, its dump has 2999; the dump was given up',
  });
  expect(await scene.files()).toEqual([]);
  await rm(place, { recursive: true });
}, 240_000);

it.skipIf(!canMount)(
  'a dump is given up when the volume is full, and leaves nothing behind (S2-9)',
  async () => {
    const place = await mkdtemp(join(tmpdir(), 'downdraft-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=200k', 'tmpfs', place]);
    try {
      const { scene, runner } = await ready({ DOWNDRAFT_BACKUP_DIR: place });
      expect(await scene.described(runner)).toMatchObject({
        possible: false,
        why: [expect.stringMatching(/^the dump may take \d\.\d MB, and 0\.2 MB are free/)],
      });
      expect((await scene.step(runner, scene.dump)).error?.kind).toBe('DumpImpossible');
      // Full by somebody else's file while it works.
      execFileSync('mount', ['-o', 'remount,size=20m', place]);
      const holder = await stage.session(scene.name);
      await holder.query(holdDump);
      await scene.order(runner, scene.dump);
      await isHeld(runner);
      const filler = join(place, 'filler');
      await expect(writeFile(filler, Buffer.alloc(30_000_000, 1))).rejects.toThrow('ENOSPC');
      await holder.query('COMMIT');
      const failed = await runner.file('result.json', (result) => result.error?.kind !== 'DumpImpossible');
      expect(failed.error).toMatchObject({ kind: 'DiskFull', message: expect.stringContaining('No space left') });
      await rm(filler);
      expect(await scene.files()).toEqual([]);
    } finally {
      execFileSync('umount', ['--lazy', place]);
      await rm(place, { recursive: true, force: true });
    }
  },
  180_000,
);

describe('what the inspection tells of a dump', () => {
  it('is what stands in its way, each thing in a sentence (S2-9)', async () => {
    const bare = await mkdtemp(join(tmpdir(), 'downdraft-bare-'));
    for (const name of ['sh', 'sed', 'head', 'xargs']) await symlink(`/usr/bin/${name}`, join(bare, name));
    const venv = await ensureVenv('3.2.1');
    const older = `${await clientPrograms('older')}:${venv}:/usr/bin:/bin`;
    const cases: [string, NodeJS.ProcessEnv, unknown][] = [
      ['no volume is named', { DOWNDRAFT_BACKUP_DIR: '' }, null],
      [
        'no programs',
        { PATH: `${venv}:${bare}` },
        ['pg_dump', 'pg_restore', 'psql'].map((name) => `the program ${name} is`),
      ],
      ['older programs', { PATH: older }, ['pg_dump 15']],
    ];
    for (const [name, extra, why] of cases) {
      const { scene, runner } = await ready(extra);
      const told = await scene.described(runner);
      if (why === null) expect(told, name).toBeNull();
      else expect(told?.why, name).toEqual((why as string[]).map((text) => expect.stringContaining(text)));
      if (why === null) expect((await scene.step(runner, scene.dump)).error?.kind).toBe('DumpImpossible');
      if (name !== 'older programs') continue;
      await rm(scene.folder, { recursive: true });
      await scene.on('CREATE TABLE payroll (id int)');
      expect((await scene.described(runner))?.why).toEqual([
        expect.stringContaining("can't be written: No such file"),
        expect.stringContaining('pg_dump 15'),
        expect.stringContaining("public.payroll can't be read by airflow"),
        expect.stringContaining('public.payroll does not belong to airflow'),
      ]);
    }
    await rm(bare, { recursive: true });
  }, 240_000);
});
