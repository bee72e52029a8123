import { createServer } from 'node:net';
import { waitFor } from './wait.ts';

/**
 * As many different free TCP ports of 127.0.0.1. They lie below the range from which the system takes ports for
 * outgoing connections (32768 on Linux), so that none of those takes one between this answer and its use.
 */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  await waitFor(
    `${count} free ports`,
    10_000,
    async () => {
      const port = 20_000 + Math.floor(Math.random() * 12_000);
      if (!found.has(port) && (await isFree(port))) found.add(port);
      return found.size === count;
    },
    0,
  );
  return [...found];
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
