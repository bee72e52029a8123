/**
 * The images of the test cluster, made from package registries alone.
 *
 * 1. Each image has a recipe (recipes/) and a key: the hash of all that goes into it, its base's key included.
 * 2. Making one pushes it into a registry process of its own over the cache's blobs; its manifest is kept by key.
 * 3. Publishing puts kept manifests into a running cluster's registry, under their names. That is quick.
 */

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir, cached, contentKey, type Progress } from '../run/cache.ts';
import { deleteClusterFolder, makeClusterFolder } from '../run/folder.ts';
import { clearLeftovers } from '../run/leftovers.ts';
import { freePorts } from '../run/ports.ts';
import { ensureBinaries } from './binaries.ts';
import { ensurePackages } from './packages.ts';
import { airflow } from './recipes/airflow.ts';
import { base } from './recipes/base.ts';
import { downdraft } from './recipes/downdraft.ts';
import { node } from './recipes/node.ts';
import { pause } from './recipes/pause.ts';
import { postgres } from './recipes/postgres.ts';
import type { Recipe } from './recipes/recipe.ts';
import { isWhole, type Manifest, putManifest, readManifest, startRegistry } from './registry.ts';

const recipes = {
  pause,
  base,
  postgres,
  'airflow-3.2.1': airflow('3.2.1', '2026-04-25'),
  'airflow-3.1.8': airflow('3.1.8', '2026-03-15'),
  node,
  downdraft,
} satisfies Record<string, Recipe>;

/** What images there are. */
export type ImageName = keyof typeof recipes;

/** Every image that a pod may ask for, the quickest first. */
export const allImages: ImageName[] = ['pause', 'postgres', 'airflow-3.2.1', 'airflow-3.1.8', 'downdraft'];

/**
 * Makes the images that are missing and puts all that are asked for into the registry at `host` (host:port; undefined:
 * only make them). Answers each one's name as pods write it, e.g. `apache/airflow:3.2.1` or `downdraft:1f0c…`.
 */
export async function ensureImages(
  host: string | undefined,
  onProgress: Progress = () => {},
  names: ImageName[] = allImages,
): Promise<Record<string, string>> {
  const references: Record<string, string> = {};
  for (const name of names) {
    const key = await keyOf(name);
    const manifest = await ensureImage(name, key, onProgress);
    const { repository, tag = key } = recipeOf(name);
    if (host) await putManifest(host, repository, tag, manifest);
    references[name] = `${repository}:${tag}`;
  }
  return references;
}

function recipeOf(name: string): Recipe {
  return recipes[name as ImageName];
}

async function keyOf(name: string): Promise<string> {
  const recipe = recipeOf(name);
  const below = recipe.base ? await keyOf(recipe.base) : '';
  return contentKey(name, below, ...(await recipe.ingredients()));
}

async function ensureImage(name: string, key: string, onProgress: Progress): Promise<Manifest> {
  const entry = join(cacheDir(), 'images', `${name}-${key}`);
  const kept = await keptManifest(entry);
  if (kept && isWhole(kept)) return kept;
  if (kept) await rm(entry, { recursive: true });
  await cached('images', `${name}-${key}`, async (dir) => await makeImage(name, key, dir, onProgress), onProgress);
  return (await keptManifest(entry))!;
}

async function keptManifest(entry: string): Promise<Manifest | undefined> {
  const text = await readFile(join(entry, 'manifest.json'), 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text && JSON.parse(text);
}

async function makeImage(name: string, key: string, dir: string, onProgress: Progress): Promise<void> {
  const recipe = recipeOf(name);
  await ensurePackages(onProgress);
  const bin = await ensureBinaries(onProgress);
  const baseKey = recipe.base && (await keyOf(recipe.base));
  const below = recipe.base && (await ensureImage(recipe.base, baseKey!, onProgress));
  await withRegistry(bin, async (host) => {
    const target = `${host}/${recipe.repository}:${key}`;
    let from: string | undefined;
    if (recipe.base && below) {
      const { repository } = recipeOf(recipe.base);
      await putManifest(host, repository, baseKey!, below);
      from = `${host}/${repository}:${baseKey}`;
    }
    onProgress(`making the image ${recipe.repository}:${recipe.tag ?? key}`);
    await recipe.make({ dir, bin, target, from, onProgress });
    const manifest = await readManifest(host, recipe.repository, key);
    await rm(dir, { recursive: true });
    await keep(dir, manifest);
  });
}

async function keep(dir: string, manifest: Manifest): Promise<void> {
  await mkdir(dir);
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest));
}

/** Runs `act` with a registry of this process's own; a crash leaves it as a leftover that the next start clears. */
async function withRegistry(bin: string, act: (host: string) => Promise<void>): Promise<void> {
  await clearLeftovers();
  const { dir } = await makeClusterFolder('making images', false);
  const [port] = await freePorts(1);
  const host = `127.0.0.1:${port}`;
  const registry = await startRegistry(dir, bin, { listen: host, probe: host });
  try {
    await act(host);
  } finally {
    await registry.end();
    await deleteClusterFolder(dir);
  }
}
