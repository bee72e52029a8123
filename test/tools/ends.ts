/** How a downgrade by a tool must end, and what a tool may have changed: faults are sentences, none is the right answer. */
import { core } from '../../src/cluster/client/paths.ts';
import type { DowngradeObject } from '../../src/release/kubernetes/downgrade.ts';
import { readWorkload } from '../../src/release/kubernetes/workloads.ts';
import type { WorkloadObject } from '../../src/release/model/kubernetes.ts';
import { annotation, label } from '../../src/release/model/kubernetes.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { imageOf, newer, older, type Version, versionOf } from '../loop/images.ts';
import { downgrades, gates, pods } from '../loop/release.ts';
import { settled } from '../loop/runs.ts';
import { revisionsOf } from '../make/release.ts';
import { headsOf } from './heads.ts';
import { type Site, type ToolPlace, workloadsOf } from './place.ts';

/** Waits for the end of the newest Downgrade, which is number `count`, and answers its outcome. */
export async function outcomeOf(place: ToolPlace, { namespace }: Site, count = 1): Promise<string> {
  let last: DowngradeObject | undefined;
  const over = async () => {
    const runs = await downgrades(place.client, namespace);
    last = runs.sort((a, b) => a.metadata.creationTimestamp!.localeCompare(b.metadata.creationTimestamp!)).at(-1);
    return runs.length >= count && runs.every((run) => run.status?.record?.completedAt);
  };
  await waitFor('the end of the Downgrade', 60_000, over).catch((error: Error) => {
    const shown = last ? `${last.status?.phase}: ${last.status?.reason} ${last.status?.message}` : 'no Downgrade';
    throw new Error(`${error.message}; ${shown}; troubles: ${place.controller.troubles.slice(-3)}`);
  });
  return last?.status?.record?.outcome ?? 'none';
}

/** What is not as it must be once the release runs on this version again; asked until it is right, or long enough. */
export async function faultsAt(place: ToolPlace, site: Site, version: Version, began = 0): Promise<string[]> {
  return settled(async () => {
    const workloads = await workloadsOf(place, site);
    const heads = await headsOf(place, site.namespace);
    const left = (await pods(place.client, site.namespace)).filter(
      (p) => p.metadata.labels?.[label.role] || p.spec.schedulingGates?.length,
    );
    return [
      ...(heads === version ? [] : [`the database is at ${heads}`]),
      ...(workloads.length === 4 ? [] : [`${workloads.length} workloads`]),
      ...workloads.flatMap((object) => faultsOfWorkload(object, imageOf(site.registry, version))),
      ...left.map((pod) => `pod/${pod.metadata.name} is left`),
      ...(await gates(place.client, site.namespace)).map((name) => `${name} is left`),
      ...faultsOfOrder(place, site, began),
    ];
  });
}

function faultsOfWorkload(object: WorkloadObject, image: string): string[] {
  const { kind, metadata, spec } = object;
  const workload = readWorkload(object);
  const must = (holds: boolean | undefined, what: string) => (holds ? [] : [`${kind}/${metadata.name} ${what}`]);
  return [
    ...must(workload?.image === image, `has the image ${workload?.image}`),
    ...must(workload?.settled, 'is not Ready'),
    ...must(metadata.annotations?.[annotation.hold] === undefined, 'is held'),
    ...must(spec.paused === undefined, 'is paused'),
    ...must((spec.updateStrategy?.rollingUpdate?.partition ?? 0) === 0, 'keeps a partition'),
  ];
}

/** No main container that started since `began` (performance.now()) met a schema that is not its own. */
function faultsOfOrder({ kubelet }: ToolPlace, { namespace }: Site, began: number): string[] {
  const ran = kubelet.ran.filter((c) => c.namespace === namespace && c.startedAt >= began);
  return ran.flatMap(({ image, pod, found }) => {
    const version = versionOf(image);
    const { core: head, fab } = revisionsOf[version];
    const right = found.core === head && found.fab === fab;
    return right ? [] : [`${pod} of ${version} started while the database was at ${JSON.stringify(found)}`];
  });
}

/** What a tool may have written, in a form in which any change shows: kind/name → text. Helm's own records apart. */
export async function storedIn(place: ToolPlace, { namespace }: Site): Promise<Record<string, string>> {
  const workloads = await workloadsOf(place, { namespace } as Site);
  const others = ['configmaps', 'secrets', 'services', 'serviceaccounts'].map(async (kind) => {
    const { items } = await place.client.request<{ items: WorkloadObject[] }>('GET', core(namespace, kind));
    const own = items.filter(({ metadata }) => !metadata.name.startsWith('sh.helm.release.'));
    return own.map((item) => [`${kind}/${item.metadata.name}`, item] as const);
  });
  const entries = [
    ...workloads.map((w) => [`${w.kind!.toLowerCase()}/${w.metadata.name}`, w] as const),
    ...(await Promise.all(others)).flat(),
  ];
  return Object.fromEntries(entries.map(([name, object]) => [name, essenceOf(object)]));
}

/** Without what the API server and controllers write by themselves. */
function essenceOf(object: WorkloadObject): string {
  const { status: _, metadata, ...rest } = object;
  return JSON.stringify({ labels: metadata.labels, annotations: metadata.annotations, ...rest });
}

/** The names of what differs between two looks. */
export function changed(before: Record<string, string>, after: Record<string, string>): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]).sort();
}

/**
 * Fields of a workload's spec that downdraft owns in managedFields: a tool that applies another value would conflict. A
 * StatefulSet's partition is the one that it must put back, to the value that the API server would set by itself.
 */
export function ownedByUs(objects: WorkloadObject[]): string[] {
  type Managed = { manager: string; fieldsV1?: { 'f:spec'?: object } };
  const partition = '{"f:updateStrategy":{"f:rollingUpdate":{"f:partition":{}}}}';
  return objects.flatMap(({ metadata }) => {
    const { managedFields = [] } = metadata as { managedFields?: Managed[] };
    const ours = managedFields.filter((f) => f.manager.startsWith('downdraft') && f.fieldsV1?.['f:spec']);
    const fields = ours.map((f) => JSON.stringify(f.fieldsV1!['f:spec'])).filter((text) => text !== partition);
    return fields.map((text) => `${metadata.name}: ${text}`);
  });
}

export { newer, older };
