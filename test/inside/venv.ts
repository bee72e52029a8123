/**
 * Real Airflow installations to test against, and the tools that look at our own Python, as Python environments kept by
 * content in the cache.
 *
 * The dependency set is that of the days after the release: today's packages break an older Airflow.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compare } from '@renovatebot/pep440';
import { cacheDir, contentKey, type Progress } from '../cluster/run/cache.ts';
import { run } from '../cluster/run/command.ts';
import { withLock } from '../cluster/run/lock.ts';

const python = '3.11';
const dayMs = 86_400_000;

/** For each release the first day whose packages are not seen any more: three days after its upload to the index. */
export const knownDays: Record<string, string> = {
  '3.3.2': '2026-09-20',
  '3.2.2': '2026-06-01',
  '3.2.1': '2026-04-25',
  '3.1.8': '2026-03-15',
  '3.1.7': '2026-02-07',
  '3.0.6': '2025-09-01',
  '3.0.2': '2025-06-13',
  '2.11.2': '2026-03-17',
  '2.10.5': '2025-02-13',
  '2.9.3': '2024-07-19',
  '2.7.3': '2023-11-09',
};

/** A released version of Airflow, 2.7.0 or newer. */
export type AirflowVersion = string;

/**
 * The bin folder of an environment with this Airflow, its FAB provider (a part of Airflow itself before 2.9) and
 * PostgreSQL's drivers; made on first use (about 30 s, once per machine). `extra`: further packages of the same days.
 * Throws what the package client says when it can't be made.
 */
export async function ensureVenv(
  version: AirflowVersion,
  onProgress: Progress = () => {},
  extra: readonly string[] = [],
): Promise<string> {
  const before = knownDays[version] ?? (await dayAfter(version, onProgress));
  return await venvWith(`Airflow ${version}`, before, [...packagesOf(version), ...extra], onProgress);
}

/** What looks at the package in src/inside. mypy of the line that still checks for Python 3.9. */
const tools = ['mypy==1.19.1', 'pytest==9.2.0', 'ruff==0.17.6'];
const toolsBefore = '2026-11-30';

/** The bin folder of an environment with ruff, mypy and pytest, made on first use (about 10 s). Throws as ensureVenv. */
export async function ensurePythonTools(onProgress: Progress = () => {}): Promise<string> {
  return await venvWith('the tools for Python', toolsBefore, tools, onProgress);
}

async function venvWith(what: string, before: string, wanted: string[], onProgress: Progress): Promise<string> {
  const venv = join(cacheDir(), 'venvs', contentKey(python, before, ...wanted));
  await madeOnce(venv, onProgress, async () => {
    const uv = await ensureUv(onProgress);
    onProgress(`making an environment with ${what}`);
    await run(uv, ['venv', '--no-python-downloads', '--python', python, venv], { env: process.env });
    const install = ['pip', 'install', '--python', join(venv, 'bin/python'), '--exclude-newer', before, ...wanted];
    await run(uv, install, { env: process.env, timeoutMs: 900_000 });
  });
  return join(venv, 'bin');
}

/** What is asked of the package client for a version. */
export function packagesOf(version: AirflowVersion): string[] {
  return [
    `apache-airflow==${version}`,
    ...(compare(version, '3.0.0') < 0 ? [] : [`apache-airflow-core==${version}`, 'asyncpg']),
    ...(compare(version, '2.9.0') < 0 ? [] : ['apache-airflow-providers-fab']),
    // What Dags that are to run on 2.x and 3.x import; 3.x brings it along.
    ...(compare(version, '2.10.0') < 0 || compare(version, '3.0.0') >= 0 ? [] : ['apache-airflow-providers-standard']),
    'psycopg2-binary',
    'sqlalchemy<2.1',
  ];
}

/** The day three days after the upload of a release, as the index tells it to uv (its lock format holds the time). */
async function dayAfter(version: AirflowVersion, onProgress: Progress): Promise<string> {
  const uv = await ensureUv(onProgress);
  const request = ['pip', 'compile', '--no-deps', '--python-version', python, '--format', 'pylock.toml', '-q', '-'];
  const { stdout } = await run(uv, request, { env: process.env, input: `apache-airflow==${version}\n` });
  const [uploaded] = [...stdout.matchAll(/upload-time = ([0-9T:.-]+Z)/g)].map((match) => match[1]!).sort();
  if (!uploaded) throw new Error(`the package index tells no upload time of apache-airflow ${version}`);
  return new Date(Date.parse(uploaded) + 3 * dayMs).toISOString().slice(0, 10);
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
