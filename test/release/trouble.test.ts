import { expect, it } from 'vitest';
import { troubleOf } from '../../src/release/kubernetes/pod-trouble.ts';
import type { ContainerStatus, PodObject } from '../../src/release/model/kubernetes.ts';
import { makePod } from '../make/pod.ts';

const pod = (status: NonNullable<PodObject['status']>): PodObject => ({ ...makePod(), status });
const main = (shape: Partial<ContainerStatus>) => pod({ containerStatuses: [{ name: 'scheduler', ...shape }] });
const init = (shape: Partial<ContainerStatus>) =>
  pod({
    initContainerStatuses: [{ name: 'wait', ...shape }],
    containerStatuses: [{ name: 'scheduler', state: { waiting: { reason: 'PodInitializing' } } }],
  });
const ended = (exitCode: number, reason = 'Error') => ({ terminated: { exitCode, reason } });
const crashLoop = { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 5m0s' } };

it.each<[string, PodObject, object | undefined]>([
  ['a container that ended', main({ state: ended(1) }), { how: 'scheduler ended with exit code 1', log: 'current' }],
  [
    'the same words while it waits',
    main({ state: crashLoop, lastState: ended(1) }),
    { how: 'scheduler ended with exit code 1', log: 'current' },
  ],
  [
    'the same words once it runs again',
    main({ state: { running: {} }, lastState: ended(1) }),
    { how: 'scheduler ended with exit code 1', log: 'previous' },
  ],
  [
    'S4-14: a triggerer that ended with 0 after an error',
    main({ state: ended(0, 'Completed') }),
    { how: 'scheduler ended with exit code 0', log: 'current' },
  ],
  [
    'OOMKilled is explained without any words',
    main({ state: crashLoop, lastState: ended(137, 'OOMKilled') }),
    { how: expect.stringMatching(/OOMKilled: it needs more memory/), log: 'current' },
  ],
  [
    'CrashLoopBackOff without a last state',
    main({ state: crashLoop }),
    { how: 'scheduler CrashLoopBackOff: back-off 5m0s' },
  ],
  [
    'an image that can not be pulled',
    main({ state: { waiting: { reason: 'ImagePullBackOff', message: 'not found' } } }),
    { how: 'scheduler ImagePullBackOff: not found' },
  ],
  ['an init container that ended badly', init({ state: ended(1) }), { container: 'wait', log: 'current' }],
  [
    'a node that is missing',
    pod({ conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' }] }),
    { how: "a pod of it can't be scheduled: 0/3 nodes" },
  ],
  ['no trouble: it starts', main({ state: { waiting: { reason: 'ContainerCreating' } } }), undefined],
  ['no trouble: its init container has done its work', init({ state: ended(0, 'Completed') }), undefined],
  [
    'no trouble: it was started again and is Ready',
    main({ ready: true, state: { running: {} }, lastState: ended(1) }),
    undefined,
  ],
  ['no trouble: nothing is known yet', pod({}), undefined],
])('%s', (_name, object, trouble) => {
  if (trouble) expect(troubleOf(object)).toMatchObject(trouble);
  else expect(troubleOf(object)).toBeUndefined();
});

it('what kubelet quotes of a command is told in short and without its password', () => {
  const message = `exec: "airflow --conn postgresql://airflow:S3cretPassw0rd@db/air": ${'not found '.repeat(500)}`;
  const trouble = troubleOf(main({ state: { waiting: { reason: 'RunContainerError', message } } }));
  expect(trouble?.how).toMatch(/^scheduler RunContainerError: exec: /);
  expect(trouble?.how).not.toMatch(/S3cret/);
  expect(trouble?.how.length).toBeLessThan(400);
});
