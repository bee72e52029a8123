import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../../run/cache.ts';
import { run } from '../../run/command.ts';
import { withLock } from '../../run/lock.ts';
import { unmountBelow } from '../../run/mounts.ts';
import type { Recipe, Workshop } from './recipe.ts';

const project = join(import.meta.dirname, '../../../..');

const files = [
  'Dockerfile',
  '.dockerignore',
  '.npmrc',
  '.tsconfig.build.json',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
];

/** This project, built by its own Dockerfile. */
export const downdraft: Recipe = {
  repository: 'downdraft',
  base: 'node',
  ingredients: async () => {
    const sources = await Promise.all(['src', 'certs'].map((folder) => filesBelow(folder)));
    const all = [...files, ...sources.flat().sort()];
    const texts = await Promise.all(all.map((file) => readFile(join(project, file))));
    return all.flatMap((file, index) => [file, texts[index]!]);
  },
  make: async (workshop) =>
    await withLock(join(cacheDir(), 'locks', 'buildah'), workshop.onProgress, async () => await build(workshop)),
};

async function filesBelow(folder: string): Promise<string[]> {
  if (!existsSync(join(project, folder))) return [];
  const entries = await readdir(join(project, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(project.length + 1));
}

async function build({ target, from }: Workshop): Promise<void> {
  // The store and the image in it stay: a build takes the layers that did not change from it.
  const local = 'localhost/downdraft';
  const store = join(cacheDir(), 'buildah');
  const where = ['--root', join(store, 'root'), '--runroot', join(store, 'run'), '--storage-driver', 'overlay'];
  const buildah = async (...args: string[]) => {
    await run('buildah', [...where, ...args], { env: process.env, cwd: project, timeoutMs: 900_000 });
  };
  // What the machine trusts, so that npm can also do its work behind a proxy with an authority of its own.
  const bundle = '/etc/ssl/certs/ca-certificates.crt';
  const trust = existsSync(bundle) ? ['--volume', `${bundle}:${bundle}:ro`] : [];
  const options = ['--isolation', 'chroot', '--layers', '--tls-verify=false', '--build-arg', `NODE_IMAGE=${from}`];
  try {
    await buildah('bud', ...options, ...trust, '--tag', local, '.');
    await buildah('push', '--tls-verify=false', local, `docker://${target}`);
  } finally {
    // A build that failed leaves its container mounted, and each leaves the store mounted on itself.
    await buildah('rm', '--all');
    await unmountBelow([store]);
  }
}
