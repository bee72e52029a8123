/**
 * Real Airflow installations to test against, as Python environments kept by content in the cache.
 *
 * The dependency set is that of the days after the release (`before`): today's packages break an older Airflow.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir, contentKey, type Progress } from '../cluster/cache.ts';
import { run } from '../cluster/command.ts';
import { withLock } from '../cluster/lock.ts';

const python = '3.11';

/** Airflow versions that tests use, each with the first day whose packages are not seen any more. */
const releases = {
  '3.2.1': { before: '2026-04-25', packages: ['apache-airflow-core==3.2.1', 'asyncpg'] },
  '3.1.8': { before: '2026-03-15', packages: ['apache-airflow-core==3.1.8', 'asyncpg'] },
} as const;

export type AirflowVersion = keyof typeof releases;

/**
 * The bin folder of an environment with this Airflow, its FAB provider and psycopg2; made on first use (about 30 s,
 * once per machine). Throws what the package client says when it can't be made.
 */
export async function ensureVenv(version: AirflowVersion, onProgress: Progress = () => {}): Promise<string> {
  const { before, packages } = releases[version];
  const wanted = [
    `apache-airflow==${version}`,
    ...packages,
    'apache-airflow-providers-fab',
    'psycopg2-binary',
    'sqlalchemy<2.1',
  ];
  const venv = join(cacheDir(), 'venvs', contentKey(python, before, ...wanted));
  await madeOnce(venv, onProgress, async () => {
    const uv = await ensureUv(onProgress);
    onProgress(`making an environment with Airflow ${version}`);
    await run(uv, ['venv', '--no-python-downloads', '--python', python, venv], { env: process.env });
    const install = ['pip', 'install', '--python', join(venv, 'bin/python'), '--exclude-newer', before, ...wanted];
    await run(uv, install, { env: process.env, timeoutMs: 900_000 });
  });
  return join(venv, 'bin');
}

async function ensureUv(onProgress: Progress): Promise<string> {
  const venv = join(cacheDir(), 'uv');
  await madeOnce(venv, onProgress, async () => {
    await run('python3', ['-m', 'venv', venv], { env: process.env });
    await run(join(venv, 'bin/pip'), ['install', '--quiet', 'uv'], { env: process.env, timeoutMs: 300_000 });
  });
  return join(venv, 'bin/uv');
}

/** Builds `dir` where it stands (a Python environment can't be moved); a marker file says that it is whole. */
async function madeOnce(dir: string, onProgress: Progress, build: () => Promise<void>): Promise<void> {
  const marker = join(dir, 'whole');
  if (existsSync(marker)) return;
  await withLock(join(cacheDir(), 'locks', `venv-${contentKey(dir)}`), onProgress, async () => {
    if (existsSync(marker)) return;
    await rm(dir, { recursive: true, force: true });
    await mkdir(join(dir, '..'), { recursive: true });
    await build();
    await writeFile(marker, '');
  });
}
