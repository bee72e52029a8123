/** A temporary folder that goes when the work is done, and after it what was started there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs `act` in a new folder; what it adopts on the stack is ended first, then the folder is deleted, also on an error. */
export async function withFolder<T>(act: (folder: string, stack: AsyncDisposableStack) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-bench-'));
  try {
    await using stack = new AsyncDisposableStack();
    return await act(folder, stack);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
