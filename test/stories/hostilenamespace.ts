/**
 * A namespace of another company: everything that its platform team demands of pods, and a release of Airflow that lives
 * there, made of the example chart.
 *
 * - Pod Security restricted; a LimitRange with a least and a most; a quota with room for one pod more.
 * - Images only of a list, by a policy. A mesh, by a policy that puts its proxy in front of the pods' own containers.
 * - The database is reached through a proxy beside Airflow, on 127.0.0.1; its URL is what a command prints from a file.
 * - The API server's pods must not share a host. The release's name is a label that no object could have for a name.
 */
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../manifests/render.ts';
import { leanValues, setting } from './lean.ts';
import { chart, must, type Place } from './place.ts';

export const namespace = 'strict';
export const dataNamespace = 'data';
/** What the label says; object names begin with af. */
export const release = 'My_Airflow';

const least = { cpu: '5m', memory: '16Mi' };
const small = { requests: { cpu: '5m', memory: '32Mi' } };
const restricted = {
  allowPrivilegeEscalation: false,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

/** Forwards 127.0.0.1:5432 to the database, as a cloud's proxy does. */
const proxyProgram = `
const net = require('node:net');
process.on('SIGTERM', () => process.exit(0));
net.createServer((client) => {
  const database = net.connect(5432, 'af-postgresql.${dataNamespace}');
  for (const [from, to] of [[client, database], [database, client]])
    from.pipe(to).on('error', () => from.destroy()).on('close', () => from.destroy());
}).listen(5432, '127.0.0.1');
`;

const idleProgram = "process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1e6);";

function sidecar(name: string, image: string, program: string): Manifest {
  return { name, image, command: ['node', '-e', program], resources: small, securityContext: restricted };
}

/** The namespaces and what rules in them. */
export function rulesOf(place: Place): Manifest[] {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted', mesh: 'injected', images: 'listed' };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: dataNamespace } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
    {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'sizes', namespace },
      spec: {
        limits: [
          {
            type: 'Container',
            min: least,
            max: { cpu: '2', memory: '3Gi' },
            // Else what asks for nothing would ask for the most.
            defaultRequest: { cpu: '10m', memory: '64Mi' },
          },
        ],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'pods', namespace },
      // Four of the release, its migration Job's, and one more: probe and runner come one after the other.
      spec: { hard: { pods: '6' } },
    },
    ...allowList(),
    ...mesh(place),
  ];
}

/** Every pod of a namespace with these labels, as it is made. */
function pods(matchLabels: object) {
  return {
    namespaceSelector: { matchLabels },
    resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
  };
}

function allowList(): Manifest[] {
  return policy('ValidatingAdmissionPolicy', 'v1', 'images', {
    matchConstraints: pods({ images: 'listed' }),
    validations: [
      {
        expression:
          "object.spec.containers.all(c, c.image.matches('^(docker.io/(library/)?)?(apache/airflow|downdraft)[:@]'))",
        message: 'images only of apache/airflow and downdraft',
      },
    ],
  });
}

function mesh(place: Place): Manifest[] {
  const proxy = sidecar('istio-proxy', place.cluster.images.downdraft!, idleProgram);
  return policy('MutatingAdmissionPolicy', 'v1beta1', 'mesh', {
    matchConstraints: pods({ mesh: 'injected' }),
    matchConditions: [
      {
        name: 'wanted',
        expression:
          "object.?metadata.?annotations[?'sidecar.istio.io/inject'].orValue('true') != 'false' && !object.spec.containers.exists(c, c.name == 'istio-proxy')",
      },
    ],
    reinvocationPolicy: 'Never',
    mutations: [
      {
        patchType: 'JSONPatch',
        jsonPatch: { expression: `[JSONPatch{op: "add", path: "/spec/containers/0", value: ${celOf(proxy)}}]` },
      },
    ],
  });
}

function policy(kind: string, version: string, name: string, spec: object): Manifest[] {
  const apiVersion = `admissionregistration.k8s.io/${version}`;
  const actions = kind === 'ValidatingAdmissionPolicy' ? { validationActions: ['Deny'] } : {};
  return [
    { apiVersion, kind, metadata: { name }, spec: { failurePolicy: 'Fail', ...spec } },
    { apiVersion, kind: `${kind}Binding`, metadata: { name }, spec: { policyName: name, ...actions } },
  ];
}

/** A container as CEL writes an object of the pod's own types. */
function celOf(container: Manifest): string {
  const { name, image, command, resources, securityContext: s } = container;
  const text = (value: string) => JSON.stringify(value);
  const amounts = Object.entries(resources.requests as Record<string, string>);
  const requests = amounts.map(([key, value]) => `${text(key)}: ${text(value)}`).join(', ');
  const security = `allowPrivilegeEscalation: ${s.allowPrivilegeEscalation}, runAsNonRoot: ${s.runAsNonRoot}, capabilities: Object.spec.containers.securityContext.capabilities{drop: ["ALL"]}, seccompProfile: Object.spec.containers.securityContext.seccompProfile{type: "RuntimeDefault"}`;
  const body = `name: ${text(name)}, image: ${text(image)}, command: [${command.map(text).join(', ')}]`;
  return `Object.spec.containers{${body}, resources: Object.spec.containers.resources{requests: {${requests}}}, securityContext: Object.spec.containers.securityContext{${security}}}`;
}

/** The release in this version, as this namespace would take it. */
export async function releaseOf(place: Place, version: string): Promise<Manifest[]> {
  const values = {
    airflowVersion: version,
    'postgresql.enabled': 'false',
    'data.connection': 'postgresql://postgres:postgres@127.0.0.1:5432/postgres?sslmode=disable',
    'migrateDatabaseJob.useHelmHooks': 'false',
    ...leanValues,
    'apiServer.strategy.rollingUpdate.maxSurge': '0',
    'apiServer.strategy.rollingUpdate.maxUnavailable': '1',
  };
  return (await rendered(place, namespace, values)).map((object) => adapted(object, place));
}

/** Its database, in a namespace of its own. */
export async function databaseOf(place: Place): Promise<Manifest[]> {
  const all = await rendered(place, dataNamespace, {});
  return all.filter((object) => object.metadata.name === 'af-postgresql');
}

async function rendered(place: Place, into: string, values: Record<string, string>): Promise<Manifest[]> {
  const said = await place.helm(['template', 'af', chart, '-n', into, ...setting(values)]);
  must(said);
  const objects = parseAllDocuments(said.stdout).map((document) => document.toJS() as Manifest);
  return objects.filter(Boolean).map((object) => ({ ...object, metadata: { ...object.metadata, namespace: into } }));
}

function adapted(object: Manifest, place: Place): Manifest {
  for (const labels of labelsIn(object)) if (labels.release === 'af') labels.release = release;
  const template = object.spec?.template;
  if (!template) return object;
  const { spec } = template;
  const proxy = sidecar('cloud-sql-proxy', place.cluster.images.downdraft!, proxyProgram);
  const component = object.metadata.labels.component as string;
  // A Job would never end beside a mesh's proxy, as its owner knows.
  if (object.kind === 'Job') template.metadata.annotations = { 'sidecar.istio.io/inject': 'false' };
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) dress(container);
  spec.volumes = [...(spec.volumes ?? []), { name: 'connection', secret: { secretName: 'af-metadata' } }];
  if (object.kind === 'Job' || component === 'triggerer')
    spec.initContainers = [{ ...proxy, restartPolicy: 'Always' }, ...(spec.initContainers ?? [])];
  else {
    // What starts before an ordinary sidecar can't reach the database.
    spec.initContainers = [];
    spec.containers.push(proxy);
  }
  if (component === 'api-server') spec.affinity = { podAntiAffinity: apart(component) };
  return object;
}

function* labelsIn(object: Manifest): Iterable<Manifest> {
  for (const place of [
    object.metadata?.labels,
    object.spec?.selector,
    object.spec?.selector?.matchLabels,
    object.spec?.template?.metadata?.labels,
  ])
    if (place) yield place;
}

function dress(container: Manifest): void {
  container.securityContext = { ...restricted, runAsUser: 50_000, runAsGroup: 0 };
  container.env = (container.env ?? []).filter((e: Manifest) => !/SQL_ALCHEMY_CONN$|CONN_AIRFLOW_DB$/.test(e.name));
  container.env.push({ name: 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD', value: 'cat /etc/connection/connection' });
  container.volumeMounts = [
    ...(container.volumeMounts ?? []),
    { name: 'connection', mountPath: '/etc/connection', readOnly: true },
  ];
}

function apart(component: string): object {
  const term = { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { component, release } } };
  return { requiredDuringSchedulingIgnoredDuringExecution: [term] };
}

/** Applied as a person does with kubectl; a Job that is there already can't be changed and is made anew. */
export async function apply(place: Place, objects: Manifest[]): Promise<string> {
  const jobs = objects.filter(({ kind }) => kind === 'Job').map(({ metadata }) => `job/${metadata.name}`);
  if (jobs.length > 0)
    must(await place.kubectl(['-n', namespace, 'delete', ...jobs, '--ignore-not-found', '--wait=true']));
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  return must(await place.kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) }));
}
