/**
 * The commands of the documents that test/tools/documents.test.ts does not type, each with the reason. It types every
 * other one of kubectl and helm; one of another program that is not here fails test/house/documents.test.ts.
 */

export interface NotTyped {
  because: string;
  /** The file that runs the same or its half, or that answers for it. */
  shownBy: string;
}

const notTyped = (because: string, shownBy: string): NotTyped => ({ because, shownBy });
/** A verb in a sentence, with nothing to act on. */
const verb = (shownBy: string): NotTyped => notTyped('is a verb in a sentence', shownBy);

const demo = notTyped('takes a node and images', 'test/demo/demo.test.ts');
const levels = notTyped('is what CI runs, by level', 'test/run.ts');

const devTyped = notTyped('does not end; there it is started on a free port and ended', 'test/tools/documents.test.ts');

const kubectl = verb('test/tools/kubectl.test.ts');
const helm = verb('test/tools/scenarios.ts');

export const commandsNotTyped: Record<string, NotTyped> = {
  'npm ci': notTyped('takes the packages away under the tests that run', '.ci/run'),
  'npm run …': verb('package.json'),
  'npx …': verb('package.json'),
  'node file.ts': verb('package.json'),
  '.ci/run': notTyped('runs this very test', '.ci/run'),
  'npm test': levels,
  'npm run check': notTyped('is what CI runs, by level', 'test/check.ts'),
  'npm run test:all': levels,
  'npm run test:stories': levels,
  'npm run watch': notTyped('does not end; the same tests are the level rules', 'test/levels.ts'),
  'npm run format': notTyped('writes; what it would write is found by check:static', '.ci/run'),
  'npm run documents': notTyped('writes; what it would write is compared', 'test/house/documents.test.ts'),
  'npm run demo': demo,
  'npm run demo -- --stop': demo,
  'npm run demo -- --context NAME --image downdraft=REPOSITORY:TAG': demo,
  'npm run dev': devTyped,
  'npm run dev -- --host ADDRESS': devTyped,
  'npm run cluster -- up --no-node': notTyped(
    'keeps a cluster; tests start the same and end it',
    'test/cluster/cluster.test.ts',
  ),
  'npm run cluster -- down': notTyped('ends clusters that others keep', 'test/cluster/cluster.test.ts'),
  'npm run heads': notTyped('asks a registry for every release', 'test/release/heads-stale.test.ts'),
  'npm run test:matrix': notTyped('takes 20 minutes; a pair of it is run', 'test/matrix/part.test.ts'),
  'npm run test:matrix -- --large': notTyped('takes 20 minutes; its result is kept', 'test/release/estimate.test.ts'),
  'npm run bench': notTyped('takes minutes; a smaller one is run', 'test/bench/budget.test.ts'),
  'npm run bench -- --memory': notTyped('takes minutes; a tenth of it is run', 'test/bench/memory.test.ts'),
  'npm run bench -- --record': notTyped('writes what CI compares with', 'test/bench/budget.test.ts'),
  'git config core.hooksPath .githooks': notTyped('changes the clone; the hook runs check:static', '.ci/run'),
  'docker build -t registry.example/downdraft:0.1.0 . && docker push registry.example/downdraft:0.1.0': notTyped(
    'takes Docker and a registry; the stories make the same image without',
    'test/cluster/build/recipes/downdraft.ts',
  ),
  'kubectl apply': kubectl,
  'kubectl apply --dry-run=server': kubectl,
  'kubectl diff': kubectl,
  'kubectl replace --force': kubectl,
  'kubectl rollout resume': kubectl,
  'kubectl set image': kubectl,
  "kubectl set image … '*=IMAGE'": kubectl,
  'kubectl scale': verb('test/tools/calls.test.ts'),
  'kubectl debug': verb('test/admission/goldens.test.ts'),
  'kubectl drain': notTyped('is a verb in a sentence; it takes a node', 'test/release/copied.test.ts'),
  'kubectl drain --force': notTyped('is a verb in a sentence; it takes a node', 'test/loop/crash.test.ts'),
  'helm upgrade': helm,
  'helm upgrade [--wait]': helm,
  'helm upgrade --no-hooks': helm,
  'helm rollback [--wait]': helm,
  'helm --atomic': helm,
  'helm install --wait': helm,
};
