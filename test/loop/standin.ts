/**
 * The stand-in for what can't run without a node: the programs inside the pods, and exec and logs by which the
 * controller meets them. A program dies with its pod.
 */
import type { Reads, Writes } from '../../src/controller/ports.ts';
import type { PodObject } from '../../src/release/objects.ts';
import { scriptsOf, versionOf } from './images.ts';
import { runRunner } from './runner.ts';

/** A revision was about to be taken back, by the runner in a pod of this namespace. */
export interface Revision {
  namespace: string;
  at: number;
}

export interface StandIn {
  reads: Pick<Reads, 'podLog' | 'runnerFiles'>;
  writes: Pick<Writes, 'writeFile' | 'startDetached'>;
  /** For the kubelet. */
  podStarted(pod: PodObject): void;
  podEnded(uid: string): void;
  revisions: Revision[];
}

interface Running {
  pod: PodObject;
  folder: Map<string, string>;
  end: AbortController;
  notice(): void;
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
    const folder = new Map<string, string>();
    const end = new AbortController();
    const { notice } = runRunner({
      url: database(namespace),
      version: versionOf(pod.spec.containers[0]!.image!),
      folder,
      signal: end.signal,
      onRevision: (at) => revisions.push({ namespace, at }),
    });
    running.set(uid, { pod, folder, end, notice });
  };
  return {
    revisions,
    podStarted,
    podEnded: (uid) => {
      running.get(uid)?.end.abort();
      running.delete(uid);
    },
    reads: {
      podLog: async (namespace, pod) => {
        const version = versionOf((await podOf(namespace, pod)).spec.containers[0]!.image!);
        const { core, managers } = scriptsOf(version);
        const told = { airflowVersion: version, coreHeads: core.heads, managers, python: '3.12.0' };
        return `importing airflow\nDOWNDRAFT-PROBE ${JSON.stringify(told)}\n`;
      },
      runnerFiles: async (namespace, pod, _container, paths) => {
        const found = await inPod(namespace, pod);
        return paths.map((path) => found?.folder.get(nameOf(path)));
      },
    },
    writes: {
      writeFile: async (namespace, pod, _container, path, text) => {
        const found = await inPod(namespace, pod);
        if (!found) throw new Error(`in pod/${pod} nobody reads ${path}`);
        found.folder.set(nameOf(path), text);
        found.notice();
      },
      startDetached: async (namespace, pod) => {
        if (!(await inPod(namespace, pod))) podStarted(await podOf(namespace, pod));
      },
    },
  };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
