import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { factsOf, stepKinds } from '../../src/release/stepkinds.ts';

const inside = new URL('../../src/inside/', import.meta.url);
const programs = readdirSync(inside).filter((name) => name.endsWith('.py'));
const carriedOut = programs.flatMap((name) =>
  [...readFileSync(new URL(name, inside), 'utf8').matchAll(/^@step\("(\w+)"/gm)].map(([, kind]) => kind!),
);

describe('kinds of steps', () => {
  it('are those that the runner carries out', () => {
    expect(Object.keys(stepKinds).sort()).toEqual(carriedOut.sort());
  });

  it('one of which nothing is known has its own name, and no more is promised of it than holds for all', () => {
    expect(factsOf('toString')).toEqual({
      part: 'reverse',
      phase: 'Downgrading',
      word: 'toString',
      calledOff: 'after what runs',
      reverses: false,
    });
  });
});
