/**
 * The stand-in for what can't run without a node: the programs inside the pods, and exec and logs by which the
 * controller meets them. A program dies with its pod.
 */
import type { Reads, Writes } from '../../src/controller/ports.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { digestsOf } from '../make/containers.ts';
import { scriptsOf, type Version, versionOf } from './images.ts';
import { runRunner } from './runner.ts';

/** A revision was about to be downgraded, by the runner in a pod of this namespace. */
export interface Revision {
  namespace: string;
  at: number;
}

export interface StandIn {
  reads: Pick<Reads, 'podLog' | 'runnerFiles' | 'digestSettings'>;
  writes: Pick<Writes, 'writeFile' | 'startDetached'>;
  /** For the kubelet. */
  podStarted(pod: PodObject): void;
  podEnded(uid: string): void;
  revisions: Revision[];
}

interface Running {
  folder: Map<string, string>;
  end: AbortController;
  notice(): Promise<void>;
  /** Called, and taken out, when the folder is read. */
  looked: Set<() => void>;
}

/** `database` answers the URL for a namespace; `podOf` reads a pod from the API server and throws when there is none. */
export function makeStandIn(
  database: (namespace: string) => string,
  podOf: (namespace: string, pod: string) => Promise<PodObject>,
): StandIn {
  const running = new Map<string, Running>();
  const revisions: Revision[] = [];
  const inPod = async (namespace: string, name: string): Promise<Running | undefined> => {
    const pod = await podOf(namespace, name);
    if (pod.status?.phase !== 'Running') throw new Error(`pod/${name} runs no container`);
    return running.get(pod.metadata.uid!);
  };
  const podStarted = (pod: PodObject) => {
    const { namespace = '', uid = '' } = pod.metadata;
    const onRevision = (at: number) => revisions.push({ namespace, at });
    running.set(uid, start(database(namespace), versionOf(pod.spec.containers[0]!.image!), onRevision));
  };
  const podEnded = (uid: string) => {
    running.get(uid)?.end.abort();
    running.delete(uid);
  };
  const reads: StandIn['reads'] = {
    digestSettings: async (namespace, pod, _container, _of, key) =>
      (await inPod(namespace, pod)) ? digestsOf({}, key) : { fault: 'nothing runs there' },
    podLog: async (namespace, pod) => {
      const version = versionOf((await podOf(namespace, pod)).spec.containers[0]!.image!);
      const { core, managers } = scriptsOf(version);
      const told = { airflowVersion: version, coreHeads: core.heads, managers, python: '3.12.0' };
      return `importing airflow\nDOWNDRAFT-PROBE ${JSON.stringify(told)}\n`;
    },
    runnerFiles: async (namespace, pod, _container, paths) => {
      const found = await inPod(namespace, pod);
      const texts = paths.map((path) => found?.folder.get(nameOf(path)));
      for (const resolve of found?.looked ?? []) resolve();
      found?.looked.clear();
      return texts;
    },
  };
  const writes: StandIn['writes'] = {
    writeFile: async (namespace, pod, _container, path, text) => {
      const found = await inPod(namespace, pod);
      if (!found) throw new Error(`in pod/${pod} nobody reads ${path}`);
      found.folder.set(nameOf(path), text);
      await found.notice();
    },
    startDetached: async (namespace, pod) => {
      if (!(await inPod(namespace, pod))) podStarted(await podOf(namespace, pod));
    },
  };
  return { reads, writes, podStarted, podEnded, revisions };
}

function start(url: string, version: Version, onRevision: (at: number) => void): Running {
  const folder = new Map<string, string>();
  const end = new AbortController();
  const looked = new Set<() => void>();
  const nextLook = () =>
    new Promise<void>((resolve) => {
      looked.add(resolve);
      end.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  const { notice } = runRunner({ url, version, folder, signal: end.signal, onRevision, nextLook });
  return { folder, end, notice, looked };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
