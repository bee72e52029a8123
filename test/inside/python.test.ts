/** What Python's own tools say of the package that runs inside an Airflow image. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { cacheDir } from '../cluster/run/cache.ts';
import { packageEnv } from '../make/inside.ts';
import { ensurePythonTools } from './venv.ts';

const folder = fileURLToPath(new URL('../../src/inside', import.meta.url));

let bin: string;
beforeAll(async () => {
  bin = await ensurePythonTools(console.log);
}, 300_000);

/** All that a tool says where it finds something; '' where it does not. */
function findings(tool: string, args: string[]): string {
  const env = { ...process.env, ...packageEnv };
  const { status, stdout, stderr, error } = spawnSync(join(bin, tool), args, { cwd: folder, env, encoding: 'utf8' });
  if (error) throw error;
  return status === 0 ? '' : `exit ${status}\n${stdout}${stderr}`;
}

it.each([
  ['ruff check', ['--no-cache', '--output-format', 'concise']],
  ['ruff format', ['--no-cache', '--check', '--diff']],
  ['mypy', ['--cache-dir', join(cacheDir(), 'mypy')]],
  ['pytest', ['--tb=short']],
])(
  '%s finds nothing',
  (command, options) => {
    const [tool, ...words] = command.split(' ');
    expect(findings(tool!, [...words, ...options])).toBe('');
  },
  60_000,
);
