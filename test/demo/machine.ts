/** What this machine lacks for a cluster of its own, in plain words. */

import { existsSync, statfsSync } from 'node:fs';
import { freemem } from 'node:os';
import { dirname } from 'node:path';
import { nodeAbsence } from '../cluster/build/packages.ts';
import { cacheDir } from '../cluster/run/cache.ts';
import { run } from '../cluster/run/command.ts';

const GIB = 1024 ** 3;

/** With all of it running, and the pods of both versions there, under 4.7 GiB were in use on a machine of 24. */
const MEMORY_GIB = 5;

/** The cache was seen to grow to 6 GiB; while another cluster runs, images are unpacked a second time. */
const DISK_GIB = 12;

const DISK_AGAIN_GIB = 3;

/** One line for each thing that is missing. */
export async function machineLacks(): Promise<string[]> {
  const absence = nodeAbsence();
  return [...(absence ? [absence] : []), ...(await goLacks()), ...memoryLacks(), ...diskLacks()];
}

async function goLacks(): Promise<string[]> {
  try {
    await run('go', ['version'], { env: process.env, timeoutMs: 30_000 });
    return [];
  } catch {
    return ['the cluster is built with Go 1.24 or newer, and `go` does not run here'];
  }
}

function memoryLacks(): string[] {
  const free = freemem() / GIB;
  return free < MEMORY_GIB ? [`${MEMORY_GIB} GiB of free memory are needed, ${free.toFixed(1)} are there`] : [];
}

function diskLacks(): string[] {
  const needed = existsSync(cacheDir()) ? DISK_AGAIN_GIB : DISK_GIB;
  let folder = cacheDir();
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  const free = (bavail * bsize) / GIB;
  return free < needed ? [`${needed} GiB of free disk are needed for ${cacheDir()}, ${free.toFixed(1)} are there`] : [];
}
