/** The real database of the bench: postgres.ts in a process of its own. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../cluster/run/wait.ts';
import { startChild } from './child.ts';

/** Starts it and answers its URL. Throws when it is not there within a minute. */
export async function startDatabase(folder: string): Promise<AsyncDisposable & { url: string }> {
  const entry = fileURLToPath(new URL('postgres.ts', import.meta.url));
  const child = await startChild('postgres', [process.execPath, entry], { folder });
  try {
    const url = await waitFor('PostgreSQL', 60_000, async () => {
      await child.check();
      return /^postgresql:\S+$/m.exec(await readFile(join(folder, 'postgres.log'), 'utf8'))?.[0];
    });
    return { url, [Symbol.asyncDispose]: () => child.stop() };
  } catch (error) {
    await child.stop();
    throw error;
  }
}
