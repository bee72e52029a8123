import { copyFile, cp, mkdir, readFile, realpath, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../run/command.ts';
import { pushLayer, type Recipe } from './recipe.ts';

const project = join(import.meta.dirname, '../../../..');

/** What stands in for node:24-bookworm-slim: the `node` of the npm package of that name, and this machine's npm. */
export const node: Recipe = {
  repository: 'node',
  base: 'base',
  ingredients: async () => [
    '2',
    await versionOf(join(project, 'node_modules/node')),
    await versionOf(await npmFolder()),
  ],
  make: async (workshop) => {
    const local = join(workshop.dir, 'root/usr/local');
    await mkdir(join(local, 'bin'), { recursive: true });
    await mkdir(join(local, 'lib/node_modules'), { recursive: true });
    await copyFile(join(project, 'node_modules/node/bin/node'), join(local, 'bin/node'));
    await cp(await npmFolder(), join(local, 'lib/node_modules/npm'), { recursive: true });
    await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
    await mkdir(join(workshop.dir, 'root/root'), { mode: 0o700 });
    // npm as root, at build time, trusts what the machine trusts; that file is mounted then.
    await writeFile(join(workshop.dir, 'root/root/.npmrc'), 'cafile=/etc/ssl/certs/ca-certificates.crt\n');
    await pushLayer(workshop, join(workshop.dir, 'root'), { cmd: ['node'] });
  },
};

async function npmFolder(): Promise<string> {
  const { stdout } = await run('sh', ['-c', 'command -v npm'], { env: process.env });
  return dirname(dirname(await realpath(stdout.trim())));
}

async function versionOf(folder: string): Promise<string> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')).version;
}
