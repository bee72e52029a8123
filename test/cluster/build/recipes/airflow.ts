import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../../run/cache.ts';
import { run } from '../../run/command.ts';
import { ensureUv } from '../packages.ts';
import { pushLayer, type Recipe, type Workshop, writeScripts } from './recipe.ts';

const PYTHON = '/usr/bin/python3.11';
const venv = 'opt/venv';

// SQLAlchemy from 2.1 on takes postgresql:// to mean psycopg 3, which Airflow does not bring.
const also = [
  'apache-airflow-providers-fab',
  'apache-airflow-providers-standard',
  'asyncpg',
  'psycopg2-binary',
  'sqlalchemy<2.1',
];

// The official chart's probes run `/entrypoint airflow jobs check …`.
const entrypoint = '#!/bin/sh\nexec "$@"\n';

/**
 * A real Airflow from PyPI, under the official image's name and with its label, environment, user and entrypoint.
 * `newest`: a date shortly after its release. Dependencies published later are not looked at: some break it.
 */
export function airflow(version: string, newest: string): Recipe {
  return {
    repository: 'apache/airflow',
    tag: version,
    base: 'base',
    ingredients: () => ['3', version, newest, entrypoint, ...also],
    make: async (workshop) => {
      const root = join(workshop.dir, 'root');
      await makeHomes(root);
      await makeEnvironment(workshop, root, version, newest);
      await writeScripts(root, { entrypoint });
      await pushLayer(workshop, root, {
        env: {
          AIRFLOW_VERSION: version,
          AIRFLOW_HOME: '/opt/airflow',
          HOME: '/home/airflow',
          PATH: '/opt/venv/bin:/usr/local/bin:/usr/bin:/bin',
        },
        labels: { 'org.apache.airflow.version': version },
        entrypoint: ['/usr/bin/tini', '--', '/entrypoint'],
        cmd: ['airflow', 'version'],
        workdir: '/opt/airflow',
      });
    },
  };
}

/** Folders that user 50000, and any other in group 0 (OpenShift), may write to. */
async function makeHomes(root: string): Promise<void> {
  for (const folder of ['opt/airflow', 'opt/airflow/dags', 'opt/airflow/logs', 'opt/airflow/plugins', 'home/airflow']) {
    await mkdir(join(root, folder), { recursive: true });
    await chown(join(root, folder), 50_000, 0);
    await chmod(join(root, folder), 0o775);
  }
}

async function makeEnvironment(workshop: Workshop, root: string, version: string, newest: string): Promise<void> {
  const uv = await ensureUv(workshop.onProgress);
  const env = { ...process.env, UV_CACHE_DIR: join(cacheDir(), 'uv-cache'), UV_NO_PROGRESS: '1' };
  const options = { env, timeoutMs: 900_000 };
  const folder = join(root, venv);
  await run(uv, ['venv', '--quiet', '--no-project', '--python', PYTHON, folder], options);
  const wanted = [`apache-airflow==${version}`, `apache-airflow-core==${version}`, ...also];
  const resolve = ['--exclude-newer', newest, '--link-mode', 'copy', '--python', join(folder, 'bin/python')];
  await run(uv, ['pip', 'install', '--quiet', ...resolve, ...wanted], options);
  // Scripts name their interpreter by the path it had while being made.
  const fix = 'grep -rlIF "$1/" "$1/opt/venv/bin" | xargs -r sed -i "s#$1/#/#g"';
  await run('sh', ['-c', fix, 'sh', root], options);
  // Compiled under the paths they will have, so that an import is quick and a traceback names real files.
  const compile = ['-m', 'compileall', '-q', '-j', '0', '-s', root, '-p', '/'];
  // Some packages ship templates that are no valid Python; those stay as they are.
  await run('sh', ['-c', '"$@" >/dev/null || test $? = 1', 'sh', PYTHON, ...compile, folder], options);
}
