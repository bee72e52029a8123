/** What kubelet writes into a pod's status. Pure. */
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { imageIdOf } from './images.ts';

/** All containers run and are Ready. */
export function runningStatus(pod: PodObject, podIP: string) {
  const startedAt = new Date().toISOString();
  return {
    phase: 'Running',
    hostIP: '192.0.2.1',
    podIP,
    startTime: startedAt,
    conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => condition(type, 'True')),
    containerStatuses: statuses(pod, { running: { startedAt } }, true),
  };
}

/** The pod ended by itself, with exit code 0. */
export function succeededStatus(pod: PodObject, podIP: string) {
  const finishedAt = new Date().toISOString();
  const terminated = { exitCode: 0, reason: 'Completed', startedAt: finishedAt, finishedAt };
  return {
    phase: 'Succeeded',
    hostIP: '192.0.2.1',
    podIP,
    conditions: [condition('PodScheduled', 'True'), condition('Ready', 'False', 'PodCompleted')],
    containerStatuses: statuses(pod, { terminated }, false),
  };
}

/** The main image can't be pulled. */
export function brokenStatus(pod: PodObject) {
  const waiting = { reason: 'ImagePullBackOff', message: 'Back-off pulling image: not found' };
  return {
    phase: 'Pending',
    conditions: [condition('PodScheduled', 'True'), condition('Ready', 'False', 'ContainersNotReady')],
    containerStatuses: statuses(pod, { waiting }, false).map((s) => ({ ...s, imageID: '' })),
  };
}

function statuses(pod: PodObject, state: object, ready: boolean) {
  return pod.spec.containers.map(({ name, image = '' }) => ({
    name,
    image,
    imageID: imageIdOf(image),
    ready,
    started: ready,
    restartCount: 0,
    state,
  }));
}

function condition(type: string, status: 'True' | 'False', reason?: string) {
  return { type, status, lastTransitionTime: new Date().toISOString(), ...(reason ? { reason } : {}) };
}
