/** Where every run must end, whatever happened on the way: each fault is a sentence, none is the right answer. */
import type { WorkloadObject } from '../../src/release/objects.ts';
import { annotation, label } from '../../src/release/profiles.ts';
import { readWorkload } from '../../src/release/workload.ts';
import { revisionsOf } from '../make/release.ts';
import { imageOf, newer, older, versionOf } from './images.ts';
import type { Place } from './place.ts';
import { databaseOf } from './place.ts';
import { downgrades, gates, type Installed, pods, stored } from './release.ts';

/** What is not as it must be after a downgrade to 3.1.8. */
export async function faultsAtEnd(place: Place, installed: Installed): Promise<string[]> {
  const { namespace } = installed;
  const { client } = place;
  const objects = await stored(client, namespace);
  const runs = await downgrades(client, namespace);
  const outcomes = runs.map((run) => run.status?.record?.outcome);
  const helpers = (await pods(client, namespace)).filter((p) => p.metadata.labels?.[label.role]);
  return [
    ...(await faultsOfDatabase(place, namespace)),
    ...objects.flatMap((object) => faultsOfWorkload(object, imageOf(installed.registry, older))),
    ...(objects.length === 3 ? [] : [`${objects.length} workloads`]),
    ...(outcomes.join() === 'Downgraded' ? [] : [`Downgrades ended as [${outcomes}]`]),
    ...helpers.map((p) => `pod/${p.metadata.name} is left`),
    ...(await gates(client, namespace)).map((name) => `${name} is left`),
    ...faultsOfOrder(place, namespace),
  ];
}

async function faultsOfDatabase({ postgres }: Place, namespace: string): Promise<string[]> {
  const [row] = await postgres.query(
    databaseOf(namespace),
    'select (select version_num from alembic_version) as core, (select version_num from alembic_version_fab) as fab',
  );
  const { core, fab } = revisionsOf[older];
  return row?.core === core && row.fab === fab ? [] : [`the database is at ${JSON.stringify(row)}`];
}

function faultsOfWorkload(object: WorkloadObject, image: string): string[] {
  const { kind, metadata, spec } = object;
  const faults: string[] = [];
  const must = (holds: boolean | undefined, what: string) => {
    if (!holds) faults.push(`${kind}/${metadata.name} ${what}`);
  };
  must(readWorkload(object)?.image === image, `has not the image ${image}`);
  must(readWorkload(object)?.settled, 'is not Ready');
  must(metadata.annotations?.[annotation.hold] === undefined, 'is held');
  must(spec.paused === undefined, 'is paused');
  must((spec.updateStrategy?.rollingUpdate?.partition ?? 0) === 0, 'keeps a partition');
  must(spec.replicas === 1, `has ${spec.replicas} replicas`);
  must(!ownsReplicas(object), 'has its replicas written by downdraft');
  return faults;
}

interface ManagedField {
  manager: string;
  fieldsV1?: { 'f:spec'?: { 'f:replicas'?: object } };
}

function ownsReplicas({ metadata }: WorkloadObject): boolean {
  const { managedFields = [] } = metadata as { managedFields?: ManagedField[] };
  return managedFields.some((f) => f.manager === 'downdraft' && f.fieldsV1?.['f:spec']?.['f:replicas'] !== undefined);
}

/** No main container of either version ran on a schema that is not its own. */
function faultsOfOrder({ kubelet, standIn }: Place, namespace: string): string[] {
  const ran = kubelet.ran.filter((c) => c.namespace === namespace);
  const revisions = standIn.revisions.filter((r) => r.namespace === namespace).map((r) => r.at);
  const began = Math.min(...revisions);
  const ended = Math.max(...revisions);
  return ran.flatMap((container) => {
    const { image, pod, found, startedAt, endedAt = Number.POSITIVE_INFINITY } = container;
    const version = versionOf(image);
    const needed = revisionsOf[version];
    const faults: string[] = [];
    if (found.core !== needed.core || found.fab !== needed.fab)
      faults.push(`${pod} of ${version} started while the database was at ${JSON.stringify(found)}`);
    if (version === newer && endedAt > began) faults.push(`${pod} of ${version} still ran when the schema step began`);
    if (version === older && startedAt < ended)
      faults.push(`${pod} of ${version} started before the schema step ended`);
    return faults;
  });
}
