/** A review costs what it did. Beside Go's server, since seconds mean nothing on another machine. */
import { describe, expect, it } from 'vitest';
import { measureRatios, recordedRatios, tolerance } from './budget.ts';

describe('the processor time of a review', () => {
  it("is no more than 30 % above the recorded share of a controller-runtime webhook's", {
    timeout: 900_000,
  }, async () => {
    const recorded = await recordedRatios();
    const measured = await measureRatios(console.log, new AbortController().signal);
    console.log(`processor time per review, Go is 1: ${JSON.stringify({ measured, recorded })}`);
    for (const size of Object.keys(recorded) as (keyof typeof recorded)[])
      expect(measured[size], `${size}: the share of Go's`).toBeLessThanOrEqual(recorded[size] * (1 + tolerance));
  });
});
