/** What may be odd about an object: first what the API server takes, then any text and any field. */
import fc from 'fast-check';
import type { ContainerSpec, PodSpec } from '../../src/release/model/kubernetes.ts';
import { gateName } from '../../src/release/model/kubernetes.ts';
import { leavesOf, withLeaf } from '../make/leaves.ts';
import {
  annotationKeys,
  annotationValues,
  commands,
  labelKeys,
  labelValues,
  owners,
  texts,
  variables,
  variableValues,
  volumes,
} from './oddities.ts';
import { podSpecOf, type Thing } from './things.ts';

/** A change by its name, so that what was done can be printed; `apply` answers the object changed. */
export interface Spoiling {
  what: string;
  apply(object: Thing): Thing;
}

type Act = fc.Arbitrary<Spoiling>;

/** A change to the object alone. */
function act<T>(name: string, given: fc.Arbitrary<T>, change: (object: Thing, given: T) => unknown): Act {
  return given.map((chosen) => ({
    what: `${name} ${JSON.stringify(chosen)}`.slice(0, 200),
    apply: (object) => {
      const copy = structuredClone(object);
      change(copy, chosen);
      return copy;
    },
  }));
}

/** A change to its pods. */
function podAct<T>(name: string, given: fc.Arbitrary<T>, change: (spec: PodSpec & Loose, given: T) => unknown): Act {
  return act(name, given, (object, chosen) => {
    const spec = podSpecOf(object);
    if (spec) change(spec as PodSpec & Loose, chosen);
  });
}

interface Loose {
  volumes?: object[];
  [other: string]: unknown;
}

const where = fc.constantFrom('object', 'template', 'both');
const first = (spec: PodSpec) => spec.containers[0]! as ContainerSpec & { command?: string[]; args?: string[] };

/** Labels or annotations of the object, of its pods or of both. */
function noted(kind: 'labels' | 'annotations', object: Thing, on: string): Record<string, string>[] {
  const { template } = object.spec as { template?: { metadata?: object } };
  const both =
    on === 'object' || !template
      ? [object.metadata]
      : on === 'both'
        ? [object.metadata, template.metadata]
        : [template.metadata];
  return both.map((metadata) => {
    const own = (metadata ?? {}) as { labels?: Record<string, string>; annotations?: Record<string, string> };
    own[kind] ??= {};
    return own[kind];
  });
}

const accepted: Act[] = [
  act(
    'annotation',
    fc.tuple(where, fc.constantFrom(...annotationKeys), fc.constantFrom(...annotationValues)),
    (o, [on, key, value]) => {
      for (const annotations of noted('annotations', o, on)) annotations[key] = value;
    },
  ),
  act(
    'label',
    fc.tuple(where, fc.constantFrom(...labelKeys), fc.constantFrom(...labelValues)),
    (o, [on, key, value]) => {
      for (const labels of noted('labels', o, on)) labels[key] = value;
    },
  ),
  act('no label', fc.tuple(where, fc.constantFrom(...labelKeys)), (o, [on, key]) => {
    for (const labels of noted('labels', o, on)) delete labels[key];
  }),
  act('no labels', fc.constant(0), (o) => void delete o.metadata.labels),
  act('no annotations', fc.constant(0), (o) => void delete o.metadata.annotations),
  act('many annotations', fc.constantFrom(50, 2000), (o, count) => {
    const [annotations] = noted('annotations', o, 'object');
    for (let at = 0; at < count; at++) annotations![`x${at}`] = 'y'.repeat(20);
  }),
  act('selector', fc.constantFrom('In', 'Exists', 'narrow'), (o, form) => {
    if (!('selector' in o.spec)) return;
    const [labels] = noted('labels', o, 'template');
    labels!.x = 'y';
    const expression = { key: 'x', operator: form, ...(form === 'In' ? { values: ['y', 'z'] } : {}) };
    o.spec.selector = form === 'narrow' ? { matchLabels: { x: 'y' } } : { matchExpressions: [expression] };
  }),
  act('owner', fc.constantFrom(...owners), (o, owner) => {
    o.metadata.ownerReferences = [owner];
  }),
  act('stop', fc.constantFrom(true, false), (o, paused) => {
    if (o.kind === 'Deployment') o.spec.paused = paused;
    if (o.kind === 'StatefulSet') o.spec.updateStrategy = { type: paused ? 'OnDelete' : 'RollingUpdate' };
  }),
  act('partition', fc.constantFrom(0, 1, 2147483647), (o, partition) => {
    if (o.kind === 'StatefulSet') o.spec.updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition } };
  }),
  podAct('gates', fc.constantFrom(gateName, 'x.example/y'), (spec, name) => {
    spec.schedulingGates = [{ name }];
  }),
  podAct(
    'variable',
    fc.tuple(fc.constantFrom(...variables), fc.constantFrom(...variableValues)),
    (spec, [name, value]) => {
      first(spec).env = [...(first(spec).env ?? []), { name, value }];
    },
  ),
  podAct('variable from', fc.constantFrom('none', 'other', 'metadata'), (spec, name) => {
    const valueFrom = { secretKeyRef: { name, key: 'connection' } };
    first(spec).env = [{ name: variables[0]!, valueFrom }, ...(first(spec).env ?? [])];
  }),
  podAct('variables', fc.constantFrom(0, 400), (spec, count) => {
    first(spec).env = Array.from({ length: count }, (_, at) => ({ name: `A${at}`, value: `$(A${at + 1})` }));
  }),
  podAct('variables of', fc.constantFrom('none', 'metadata'), (spec, name) => {
    first(spec).envFrom = [{ secretRef: { name } }, { configMapRef: { name }, prefix: 'AIRFLOW__' }];
  }),
  podAct('command', fc.constantFrom(...commands), (spec, command) => {
    first(spec).command = command;
    delete first(spec).args;
  }),
  podAct('volume', fc.constantFrom(...volumes), (spec, volume) => {
    spec.volumes = [volume];
  }),
  podAct('container before', fc.constantFrom('worker', 'base', 'a', 'istio-proxy'), (spec, name) => {
    if (spec.containers.every((c) => c.name !== name)) spec.containers.unshift({ name, image: 'busybox:1' });
  }),
  podAct('containers', fc.constantFrom(30), (spec, count) => {
    for (let at = 0; at < count; at++) spec.containers.push({ name: `c${at}`, image: `busybox:${at}` });
  }),
  podAct('no containers before', fc.constant(0), (spec) => void delete spec.initContainers),
  podAct(
    'image',
    fc.tuple(fc.nat({ max: 2 }), fc.constantFrom(...['a', 'a:b', 'localhost:1/x/y/z:1.2.3', `${'a'.repeat(200)}/b`])),
    (spec, [at, image]) => {
      const container = spec.containers[at];
      if (container) container.image = image;
    },
  ),
];

/** What is mostly refused: any text in any place, and any field taken out. */
const refused: Act[] = [
  fc.record({ at: fc.nat(), text: fc.constantFrom(...texts) }).map(({ at, text }) => ({
    what: `text ${at} ${JSON.stringify(text).slice(0, 60)}`,
    apply: (object) => {
      const leaves = leavesOf(withoutNames(object));
      return leaves.length === 0 ? object : withLeaf(object, leaves[at % leaves.length]!, text);
    },
  })),
  fc.nat().map((at) => ({
    what: `none of ${at}`,
    apply: (object) => {
      const leaves = leavesOf(withoutNames(object));
      const [to = 'kind', ...from] = (leaves[at % Math.max(1, leaves.length)] ?? []).slice().reverse();
      const copy = structuredClone(object);
      const parent = from.reverse().reduce<unknown>((value, key) => (value as Record<string, unknown>)?.[key], copy);
      if (parent && typeof parent === 'object' && to !== 'kind') delete (parent as Record<string, unknown>)[to];
      return copy;
    },
  })),
];

/** What the test finds it by stays. */
function withoutNames({ kind: _, metadata: { name: __, namespace: ___, ...metadata }, ...rest }: Thing): object {
  return { ...rest, metadata };
}

export const spoiling: Act = fc.oneof(
  { weight: 4, arbitrary: fc.oneof(...accepted) },
  { weight: 1, arbitrary: fc.oneof(...refused) },
);
