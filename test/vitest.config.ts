import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Which files a run takes is said on its command line by test/run.ts; one file at a time where a cluster is shared. */
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/cluster/shared.setup.ts'],
    fileParallelism: process.env.DOWNDRAFT_SERIAL !== '1',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    reporters: ['default'],
  },
});
