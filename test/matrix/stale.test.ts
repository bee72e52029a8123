/** S0-2, S3-1: is results.json true of the code and the packages as they are now? `npm run test:matrix` makes it anew. */
import { expect, test } from 'vitest';
import { nameOf, pairs } from './pairs.ts';
import { codeHash, packagesHash, readResults } from './results.ts';

const results = readResults();

test.each(pairs.map((pair) => ({ name: nameOf(pair), pair })))('$name went well with this code', ({ name, pair }) => {
  const result = results[name];
  expect(result, `never run; npm run test:matrix -- --pair ${name}`).toBeDefined();
  expect(result?.why, 'what is wrong with this pair').toEqual([]);
  expect(result?.code, 'run with other code; npm run test:matrix').toBe(codeHash());
  expect(result?.packages, 'run with other packages; npm run test:matrix').toBe(packagesHash(pair));
});
