import { describe, expect, it } from 'vitest';
import { factsOf, stepKinds } from '../../src/release/model/step-kinds.ts';
import { textInside } from '../make/inside.ts';

const carriedOut = [...textInside('downdraft/kinds.py').matchAll(/^ {4}"(\w+)": Kind\(/gm)].map(([, kind]) => kind!);

describe('kinds of steps', () => {
  it('are those that the runner carries out', () => {
    expect(Object.keys(stepKinds).sort()).toEqual(carriedOut.sort());
  });

  it('one of which nothing is known has its own name, and no more is promised of it than holds for all', () => {
    expect(factsOf('toString')).toEqual({
      part: 'reverse',
      phase: 'Downgrading',
      word: 'toString',
      abort: 'after what runs',
      reverses: false,
    });
  });
});
