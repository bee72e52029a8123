/** The leader takes what it may when it starts among many pods, and little once it rests. */
import { describe, expect, it } from 'vitest';
import type { Size } from './crowd.ts';
import { memoryLimitMiB } from './image.ts';
import { measureMemory, restLimitMiB } from './memory.ts';

/** A tenth of the cluster that `npm run bench` has, but half of its crowded namespace. */
const cluster: Size = { releases: 100, pods: 5_900, crowded: 5_000, foreign: 1_000 };

describe('the memory of the leader', () => {
  it('stays under the container’s limit while it looks at 100 releases, 8 of them among 5,000 pods', {
    timeout: 300_000,
  }, async () => {
    const taken = await measureMemory(cluster, 'leader', new AbortController().signal);
    console.log(`memory of the leader: ${JSON.stringify(taken)}`);
    expect(taken.looked, 'namespaces that were looked at').toBe(93);
    expect(taken.peak, 'MiB at most').toBeLessThan(await memoryLimitMiB());
    expect(taken.rest, 'MiB at rest').toBeLessThanOrEqual(restLimitMiB);
  });
});
