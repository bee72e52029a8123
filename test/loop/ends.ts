/** Where every run must end, whatever happened on the way: each fault is a sentence, none is the right answer. */

import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { annotation, label } from '../../src/release/model/kubernetes.ts';
import { revisionsOf } from '../make/release.ts';
import { between, imageOf, newer, older, scriptsOf, type Version, versionOf } from './images.ts';
import type { Place } from './place.ts';
import { databaseOf } from './place.ts';
import { checksumOf, downgrades, gates, type Installed, keptTables, pods, stored } from './release.ts';

/** One of the two whole states in which every run ends: the release with its data on one version. */
export interface Whole {
  version: Version;
  outcome: 'Downgraded' | 'Returned';
}

export const atOlder: Whole = { version: older, outcome: 'Downgraded' };
export const atNewer: Whole = { version: newer, outcome: 'Returned' };

/** What is not as it must be at the end of a run. */
export async function faultsAtEnd(place: Place, installed: Installed, whole: Whole = atOlder): Promise<string[]> {
  const { namespace } = installed;
  const { client } = place;
  const objects = await stored(client, namespace);
  const runs = await downgrades(client, namespace);
  const outcomes = runs.map((run) => run.status?.record?.outcome);
  const shown = runs.map((run) => run.status?.reason);
  const helpers = (await pods(client, namespace)).filter((p) => p.metadata.labels?.[label.role]);
  return [
    ...(await faultsOfDatabase(place, namespace, whole)),
    ...objects.flatMap((object) => faultsOfWorkload(object, imageOf(installed.registry, whole.version))),
    ...(objects.length === 3 ? [] : [`${objects.length} workloads`]),
    ...(outcomes.join() === whole.outcome ? [] : [`Downgrades ended as [${outcomes}]`]),
    ...(shown.join() === whole.outcome ? [] : [`Downgrades show [${shown}]`]),
    ...helpers.map((p) => `pod/${p.metadata.name} is left`),
    ...(await gates(client, namespace)).map((name) => `${name} is left`),
    ...faultsOfOrder(place, namespace, whole),
  ];
}

async function faultsOfDatabase({ postgres }: Place, namespace: string, { version }: Whole): Promise<string[]> {
  const database = databaseOf(namespace);
  const heads =
    'select (select version_num from alembic_version) core, (select version_num from alembic_version_fab) fab';
  const [row] = await postgres.query(database, heads);
  const { core, fab } = revisionsOf[version];
  const faults = row?.core === core && row.fab === fab ? [] : [`the database is at ${JSON.stringify(row)}`];
  const sums = await Promise.all(keptTables.map((table) => postgres.query(database, checksumOf(table))));
  const kept = await postgres.query(database, 'select * from kept');
  const lost = keptTables.filter((table, at) => sums[at]![0]?.sum !== kept.find(({ name }) => name === table)?.sum);
  const undone = await postgres.query(database, 'select revision from undone order by 1');
  const expected = version === older ? undoneBetween(newer, older).sort() : [];
  const same = undone.map(({ revision }) => revision).join() === expected.join();
  return [
    ...faults,
    ...lost.map((table) => `${table} has not the rows that it had`),
    ...(same ? [] : [`revisions were undone ${undone.length} times, not ${expected.length}`]),
  ];
}

/** What the scripts of one version undo to come to another: core and FAB. */
function undoneBetween(from: Version, to: Version): string[] {
  const { core, managers } = scriptsOf(from);
  const heads = [revisionsOf[from], revisionsOf[to]] as const;
  const links = [
    ...between(core.chain, heads[0].core, heads[1].core),
    ...between(managers[0]!.chain, heads[0].fab, heads[1].fab),
  ];
  return links.map(({ revision }) => revision);
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
function faultsOfOrder({ kubelet, standIn }: Place, namespace: string, whole: Whole): string[] {
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
    const ranOn = version === newer && startedAt < began && endedAt > began;
    if (ranOn) faults.push(`${pod} of ${version} still ran when the schema step began`);
    if (version === older && (startedAt < ended || whole.version === newer))
      faults.push(`${pod} of ${version} started before the schema step ended`);
    return faults;
  });
}
