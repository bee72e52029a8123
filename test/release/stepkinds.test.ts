import { describe, expect, it } from 'vitest';
import { factsOf, stepKinds } from '../../src/release/model/step-kinds.ts';
import { kindsInside } from '../make/inside.ts';

describe('kinds of steps', () => {
  it('are those that the runner carries out', () => {
    expect(Object.keys(stepKinds).sort()).toEqual(kindsInside('StepKind').sort());
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
