/** The order of the stories on their node: what everything else stands on first, what breaks the node last. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const stories = ['downgrade', 'trouble', 'hostile', 'killed', 'faults'];

/** Other tests, and stories that are not named here, come first. */
function rank({ moduleId }: TestSpecification): number {
  const named = /\/test\/stories\/(.*)\.test\.ts$/.exec(moduleId)?.[1];
  return named === undefined ? -1 : stories.indexOf(named);
}

/** As vitest has it, but for the stories. */
export class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
