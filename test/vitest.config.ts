import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { InOrder } from './stories/order.ts';

const stories = 'test/stories/*.test.ts';

/** Which files a run takes is said on its command line by test/run.ts; one file at a time where a cluster is shared. */
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    fileParallelism: process.env.DOWNDRAFT_SERIAL !== '1',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 120_000,
    teardownTimeout: 120_000,
    reporters: ['default'],
    sequence: { sequencer: InOrder },
    projects: [
      {
        extends: true,
        test: {
          name: 'tests',
          include: ['test/**/*.test.ts', `!${stories}`],
          globalSetup: 'test/cluster/plane/shared.setup.ts',
        },
      },
      {
        extends: true,
        test: {
          name: 'stories',
          include: [stories],
          globalSetup: 'test/stories/setup.ts',
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
