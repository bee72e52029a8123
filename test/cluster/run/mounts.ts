import { readFile } from 'node:fs/promises';
import { run } from './command.ts';

/** Unmounts everything below these folders, the innermost first. */
export async function unmountBelow(folders: string[]): Promise<void> {
  if (process.platform !== 'linux') return;
  const points = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    // Blanks in a path are written as \040.
    .map((line) => (line.split(' ')[1] ?? '').replaceAll('\\040', ' '))
    .filter((point) => folders.some((folder) => point.startsWith(`${folder}/`)));
  for (const point of points.reverse()) {
    // Lazily: a process that is just ending may still be inside.
    await run('umount', ['--lazy', point], { env: process.env }).catch((error: Error) => {
      if (!/not mounted|no mount point/.test(error.message)) throw error;
    });
  }
}
