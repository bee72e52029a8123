/** The tools that a person has, at a cluster that is there, and what they read with them. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import type { NodeCluster } from '../cluster/node/node.ts';
import { run } from '../cluster/run/command.ts';
import { waitFor } from '../cluster/run/wait.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const chart = join(root, 'manifests/example');

/** What a tool printed, and whether it said that it succeeded. */
export interface Said {
  ok: boolean;
  stdout: string;
  stderr: string;
}

/** What the tools use of a cluster, whoever started it. */
export type Reached = Pick<NodeCluster, 'dir' | 'kubeconfig' | 'env' | 'images'>;

export interface Place<Cluster extends Reached = Reached> {
  cluster: Cluster;
  /** Runs kubectl or helm to the end and answers what it said, also when it failed. */
  kubectl(args: string[], options?: ToolOptions): Promise<Said>;
  helm(args: string[], options?: ToolOptions): Promise<Said>;
  /** One object as JSON; undefined when there is none. */
  get<T>(kind: string, name: string, namespace?: string): Promise<T | undefined>;
  list<T>(kind: string, namespace: string, ...more: string[]): Promise<T[]>;
}

export interface ToolOptions {
  timeoutMs?: number;
  input?: string;
  onLine?: (line: string) => void;
}

/** The tools of a cluster that is there. */
export function placeOf<Cluster extends Reached>(cluster: Cluster): Place<Cluster> {
  const tool =
    (command: string) =>
    async (args: string[], options: ToolOptions = {}): Promise<Said> => {
      const env = { ...process.env, ...cluster.env };
      try {
        return { ok: true, ...(await run(command, args, { timeoutMs: 600_000, ...options, env })) };
      } catch (error) {
        return { ok: false, stdout: '', stderr: (error as Error).message };
      }
    };
  const kubectl = tool('kubectl');
  const json = async <T>(args: string[]): Promise<T | undefined> => {
    const said = await kubectl([...args, '-o', 'json', '--ignore-not-found']);
    if (!said.ok) throw new Error(said.stderr);
    return said.stdout.trim() ? (JSON.parse(said.stdout) as T) : undefined;
  };
  return {
    cluster,
    kubectl,
    helm: tool('helm'),
    get: (kind, name, namespace) => json(['get', kind, name, ...(namespace ? ['-n', namespace] : [])]),
    list: async <T>(kind: string, namespace: string, ...more: string[]) =>
      (await json<{ items: T[] }>(['get', kind, '-n', namespace, ...more]))?.items ?? [],
  };
}

/** As the README says: an overlay that names the image, then kubectl apply -k. */
export async function installDowndraft(place: Place, env: Record<string, string> = {}): Promise<void> {
  const overlay = join(place.cluster.dir, 'overlay');
  await mkdir(overlay, { recursive: true });
  const [newName, newTag] = place.cluster.images.downdraft!.split(/:(?=[^:/]*$)/);
  const settings = Object.entries(env).map(([name, value]) => ({
    op: 'add',
    path: '/spec/template/spec/containers/0/env/-',
    value: { name, value },
  }));
  const kustomization = {
    resources: [relative(overlay, join(root, 'manifests'))],
    images: [{ name: 'downdraft', newName, newTag }],
    ...(settings.length > 0
      ? { patches: [{ target: { kind: 'Deployment', name: 'downdraft' }, patch: JSON.stringify(settings) }] }
      : {}),
  };
  await writeFile(join(overlay, 'kustomization.yaml'), JSON.stringify(kustomization));
  must(await place.kubectl(['apply', '-k', overlay]));
  must(await place.kubectl(['-n', 'downdraft', 'rollout', 'status', 'deployment/downdraft', '--timeout=180s']));
}

/** The text that a tool printed; throws with what it said when it failed. */
export function must(said: Said): string {
  if (!said.ok) throw new Error(said.stderr);
  return said.stdout + said.stderr;
}

/** Settings of the example chart for this version. */
export const example = (version: string, ...more: string[]) => ['--set', `airflowVersion=${version}`, ...more];

/** Installs the example release and waits until every workload is Ready. */
export async function installAirflow(
  place: Place,
  namespace: string,
  release: string,
  version: string,
  more: string[] = [],
) {
  const args = ['install', release, chart, '-n', namespace, '--create-namespace', '--timeout', '10m'];
  must(await place.helm([...args, ...example(version, ...more)]));
  await untilServes(place, namespace, release, version);
}

/** The workloads of a release of the example chart, as kubectl names them. */
export const workloadsOf = (release: string): string[] =>
  ['deployment/api-server', 'deployment/dag-processor', 'deployment/scheduler', 'statefulset/triggerer'].map((name) =>
    name.replace('/', `/${release}-`),
  );

/** Sets all images of one workload (as kubectl names it) to Airflow's of this version. */
export async function setImage(place: Place, namespace: string, workload: string, version: string): Promise<Said> {
  return await place.kubectl(['-n', namespace, 'set', 'image', workload, `*=apache/airflow:${version}`]);
}

interface WorkloadSeen {
  metadata: { name: string; generation: number; annotations?: Record<string, string> };
  spec: { replicas: number; paused?: boolean; template: { spec: { containers: { image: string }[] } } };
  status: { observedGeneration?: number; replicas?: number; updatedReplicas?: number; readyReplicas?: number };
}

/** Every workload of the release has only pods of this version, and they are Ready. */
export async function untilServes(place: Place, namespace: string, release: string, version: string): Promise<void> {
  await waitFor(
    `release ${release} serves ${version}`,
    420_000,
    async () => {
      const seen = await place.list<WorkloadSeen>(
        'deployments,statefulsets',
        namespace,
        '-l',
        `tier=airflow,release=${release}`,
      );
      return seen.length > 0 && seen.every((w) => isSettled(w, version));
    },
    1000,
  );
}

function isSettled({ metadata, spec, status }: WorkloadSeen, version: string): boolean {
  if (!spec.template.spec.containers[0]!.image.endsWith(`:${version}`)) return false;
  if (spec.paused || (status.observedGeneration ?? 0) < metadata.generation) return false;
  // What is 0 is not written.
  const { replicas = 0, readyReplicas = 0, updatedReplicas = 0 } = status;
  return [replicas, readyReplicas, updatedReplicas].every((count) => count === spec.replicas);
}

/** Heads as the database has them. */
export async function headsOf(
  place: Place,
  namespace: string,
  release: string,
): Promise<{ core: string; fab: string }> {
  const sql = `SELECT (SELECT string_agg(version_num, '+') FROM alembic_version) || ' ' || (SELECT string_agg(version_num, '+') FROM alembic_version_fab)`;
  const [core = '', fab = ''] = (await psql(place, namespace, release, sql)).trim().split(' ');
  return { core, fab };
}

/** Runs SQL in the release's own PostgreSQL. */
export async function psql(
  place: Place,
  namespace: string,
  release: string,
  sql: string,
  database = 'postgres',
): Promise<string> {
  const command = ['psql', '-h', '127.0.0.1', '-U', 'postgres', '-d', database, '-tAc', sql];
  const env = ['env', 'PGPASSWORD=postgres'];
  return must(
    await place.kubectl([
      '-n',
      namespace,
      'exec',
      `${release}-postgresql-0`,
      '-c',
      'postgresql',
      '--',
      ...env,
      ...command,
    ]),
  );
}

/** The Downgrades of a release, oldest first. */
export async function downgradesOf(place: Place, namespace: string, release: string): Promise<DowngradeObject[]> {
  const all = await place.list<DowngradeObject>('downgrades', namespace);
  const own = all.filter((d) => d.spec.release === release);
  return own.sort((a, b) => a.metadata.creationTimestamp!.localeCompare(b.metadata.creationTimestamp!));
}

/** Waits until the newest Downgrade of the release is over and answers it. `before`: how many there were. */
export async function untilOver(
  place: Place,
  namespace: string,
  release: string,
  before = 0,
  timeoutMs = 420_000,
): Promise<DowngradeObject> {
  return waitFor(
    `a downgrade of ${release} is over`,
    timeoutMs,
    async () => {
      const all = await downgradesOf(place, namespace, release);
      const last = all.at(-1);
      // What people are shown of it comes after the record.
      const isShown = ['Done', 'Returned', 'Canceled'].includes(String(last?.status?.phase));
      return all.length > before && last?.status?.record?.completedAt && isShown ? last : undefined;
    },
    1000,
  );
}
