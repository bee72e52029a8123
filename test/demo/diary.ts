/** The demo's own log: everything that was said, and failures in full. Each run begins it anew. */

import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cluster/run/cache.ts';

/** Where it is. */
export function diaryPath(): string {
  return join(cacheDir(), 'demo.log');
}

/** Begins it. */
export function beginDiary(): void {
  mkdirSync(cacheDir(), { recursive: true });
  writeFileSync(diaryPath(), '');
  note(`node ${process.version}, ${process.argv.slice(2).join(' ') || 'no arguments'}`);
}

/** Writes a line, or several. Tools' output may come in here; none of it holds a secret that is not public anyway. */
export function note(text: string): void {
  appendFileSync(diaryPath(), `${new Date().toISOString()} ${text}\n`);
}
