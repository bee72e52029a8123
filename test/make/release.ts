/** The snapshot and its parts. Revisions are the real ones, as in src/release/airflow/heads.json. */
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { DatabaseRead } from '../../src/release/model/database.ts';
import type { ImageKnowledge } from '../../src/release/model/image.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { defaultRules } from '../../src/release/model/policy.ts';
import type { Release } from '../../src/release/model/release.ts';
import { defaultPatience } from '../../src/release/model/release.ts';
import type { Run } from '../../src/release/model/run.ts';
import type { Workload } from '../../src/release/model/workload.ts';
import { makeDeployment, makeStatefulSet } from './workload.ts';

/** Core and FAB revisions by the Airflow version whose image needs them. */
export const revisionsOf = {
  '3.2.1': { core: '1d6611b6ab7c', fab: '02ca36b0235b' },
  '3.1.8': { core: '509b94a1042d', fab: '6709f7a774b9' },
} as const;

/** The same, with a release of 2.x, which does not enforce its providers' schemas. */
export const headsOf = { ...revisionsOf, '2.11.0': { core: '5f2621c13b39', fab: '6709f7a774b9' } } as const;

export type Version = keyof typeof headsOf;

/** A database as 3.2.1 (or the named version) leaves it; `tables` overrides or adds version tables. */
export function makeDatabase(
  shape: { version?: Version; tables?: Record<string, string[]>; airflowTables?: boolean } = {},
): DatabaseRead {
  const { core, fab } = headsOf[shape.version ?? '3.2.1'];
  return {
    state: 'read',
    versionTables: shape.tables ?? { alembic_version: [core], alembic_version_fab: [fab] },
    airflowTables: shape.airflowTables ?? true,
    identity: { database: 'airflow', oid: '16384', cluster: '7300000000000000001' },
  };
}

/** What a probe learned of apache/airflow:<version>. */
export function makeImage(version: Version, shape: Partial<ImageKnowledge> = {}): ImageKnowledge {
  const { core, fab } = headsOf[version];
  const provider = {
    class: 'airflow.providers.fab.auth_manager.models.db.FABDBManager',
    versionTable: 'alembic_version_fab',
    heads: [fab],
  };
  return {
    image: `apache/airflow:${version}`,
    source: 'probe',
    version,
    coreHead: core,
    managers: version.startsWith('2.') ? [] : [provider],
    imageID: `docker.io/apache/airflow@sha256:${version.replaceAll('.', '').padEnd(64, '0')}`,
    ...shape,
  };
}

/** A run of release af to 3.1.8. */
export function makeRun(shape: Partial<Run> = {}): Run {
  return {
    name: 'af-x7k2q',
    uid: 'uid-af-x7k2q',
    generation: 1,
    release: 'af',
    to: 'apache/airflow:3.1.8',
    shownPhase: '',
    createdAt: '2026-11-21T12:00:01Z',
    spec: {},
    status: {},
    ...shape,
  };
}

/** A workload in our words; throws when the object is none of Airflow's. */
export function makeWorkload(object: WorkloadObject = makeDeployment()): Workload {
  const workload = readWorkload(object);
  if (!workload) throw new Error(`${object.kind} ${object.metadata.name} is no workload of Airflow`);
  return workload;
}

/** The objects of release af: api-server, scheduler and dag-processor as Deployments, triggerer as a StatefulSet. */
export function makeWorkloads(
  shape: { image?: string; held?: boolean; settled?: boolean; release?: string } = {},
): WorkloadObject[] {
  const deployments = ['api-server', 'scheduler', 'dag-processor'].map((component) =>
    makeDeployment({ component, ...shape }),
  );
  return [...deployments, makeStatefulSet({ component: 'triggerer', ...shape })];
}

/** The same of the community chart: its db-migrations Deployment migrates up for ever, sync-* write the database. */
export function makeCommunityWorkloads(image = 'apache/airflow:3.2.1'): WorkloadObject[] {
  const shape = { profile: 'community', image } as const;
  const migrations = makeDeployment({ ...shape, component: 'db-migrations', strategy: { type: 'Recreate' } });
  const others = ['web', 'scheduler', 'triggerer', 'sync-users'].map((component) =>
    makeDeployment({ ...shape, component }),
  );
  return [migrations, ...others, makeStatefulSet({ ...shape, component: 'worker' })];
}

/** The same of plain manifests, annotated by hand. */
export function makeLabelledWorkloads(image = 'apache/airflow:3.2.1'): WorkloadObject[] {
  const shape = { profile: 'labelled', image } as const;
  const deployments = ['api-server', 'scheduler'].map((component) => makeDeployment({ ...shape, component }));
  return [...deployments, makeStatefulSet({ ...shape, component: 'triggerer' })];
}

/** A whole release: by default 3.2.1 on its own database, settled, nothing under way. */
export function makeRelease(shape: Partial<Release> & { objects?: WorkloadObject[] } = {}): Release {
  const { objects = makeWorkloads(), ...rest } = shape;
  return {
    namespace: 'air',
    name: 'af',
    profile: 'official',
    mode: 'Hold',
    rules: defaultRules,
    moved: [],
    used: [],
    workloads: objects.map(makeWorkload),
    pods: [],
    database: makeDatabase(),
    images: { 'apache/airflow:3.2.1': makeImage('3.2.1'), 'apache/airflow:3.1.8': makeImage('3.1.8') },
    run: undefined,
    past: [],
    gate: 'absent',
    admission: { trials: [], missingRights: [] },
    probe: { state: 'absent' },
    triggers: { state: 'absent' },
    runner: { state: 'absent' },
    proof: undefined,
    sessions: [],
    jobs: {},
    templates: 'unread',
    lastLogs: 'unread',
    rollouts: 'unread',
    claims: {},
    outlook: {},
    asked: undefined,
    expired: undefined,
    surplus: undefined,
    patience: defaultPatience,
    now: new Date('2026-11-21T12:01:00Z'),
    ...rest,
  };
}
