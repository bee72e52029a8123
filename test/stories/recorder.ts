/**
 * What every container did, from a watch kept during the run: Events are lossy, and a look afterwards sees only the end.
 */
import { connect } from '../../src/cluster/client/client.ts';
import { watch } from '../../src/cluster/client/watch.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { label } from '../../src/release/model/kubernetes.ts';
import type { RunStatus } from '../../src/release/model/run.ts';

export interface Life {
  pod: string;
  image: string;
  role: string | undefined;
  /** ISO times of the main container; undefined when it never ran. */
  startedAt: string | undefined;
  /** When the pod was seen to be gone, or the main container to have ended. */
  endedAt: string | undefined;
  gated: boolean;
}

export interface Recorder {
  lives(): Life[];
  stop(): void;
}

/** Records the pods of one release until stopped. */
export function record(kubeconfig: string, namespace: string, release: string): Recorder {
  const client = connect({ kubeconfig });
  const stopping = new AbortController();
  const lives = new Map<string, Life>();
  void watch<PodObject>(client, `/api/v1/namespaces/${namespace}/pods`, {
    labelSelector: `tier=airflow,release=${release}`,
    signal: stopping.signal,
    onChange: ({ type, object }) => {
      const uid = object.metadata.uid!;
      // What is ending when it is first seen is left from before the record.
      if (!lives.has(uid) && (type === 'DELETED' || object.metadata.deletionTimestamp)) return;
      const life = lives.get(uid) ?? newLife(object);
      lives.set(uid, life);
      if (type === 'DELETED') life.endedAt ??= new Date().toISOString();
      else see(life, object);
    },
  });
  return {
    lives: () => [...lives.values()],
    stop: () => {
      stopping.abort();
      client.close();
    },
  };
}

function newLife({ metadata, spec }: PodObject): Life {
  const role = metadata.labels?.[label.role];
  return {
    pod: metadata.name,
    image: spec.containers[0]!.image!,
    role,
    startedAt: undefined,
    endedAt: undefined,
    gated: false,
  };
}

function see(life: Life, { spec, status }: PodObject): void {
  if (spec.schedulingGates?.length) life.gated = true;
  const main = status?.containerStatuses?.find((c) => c.name === spec.containers[0]!.name);
  const ended = main?.state?.terminated as { startedAt?: string; finishedAt?: string } | undefined;
  life.startedAt ??= main?.state?.running?.startedAt ?? ended?.startedAt;
  life.endedAt ??= ended?.finishedAt;
}

/** Whole seconds, as Kubernetes tells times: a time of ours is cut the same way before it is compared. */
const second = (iso: string) => Math.floor(Date.parse(iso) / 1000);

/** Older main containers that began before the database was at their head. */
export function tooEarly(lives: Life[], older: string, status: RunStatus): Life[] {
  const reached = second(status.verifiedAt!);
  return lives.filter((l) => l.image.endsWith(`:${older}`) && !l.role && l.startedAt && second(l.startedAt) < reached);
}

/** Newer main containers, but the runner's, that were still there when the schema step began. */
export function tooLate(lives: Life[], newer: string, status: RunStatus): Life[] {
  const begun = second(status.schemaStartedAt!);
  const ran = lives.filter((l) => l.image.endsWith(`:${newer}`) && l.role !== 'runner' && l.startedAt);
  return ran.filter((l) => !l.endedAt || second(l.endedAt) > begun);
}
