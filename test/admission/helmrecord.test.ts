/** Real helm on a real API server: a denied release record leaves nothing behind, and what may run is not kept from it. */
import { execFile } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Fastify from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { issue } from '../../certs/authority.ts';
import { type Answer, readReview, respond } from '../../src/admission/review.ts';
import { early } from '../../src/admission/webhooks/record.ts';
import { ensureTool } from '../cluster/build/binaries.ts';
import { type ControlPlane, startControlPlane } from '../cluster/plane/controlplane.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { makePorts } from '../make/ports.ts';
import { makeDatabase } from '../make/release.ts';

/** Each in a namespace of its own. */
const cases = [
  { program: 'helm', driver: 'secret', namespace: 'helm3-secret' },
  { program: 'helm', driver: 'configmap', namespace: 'helm3-configmap' },
  { program: 'helm4', driver: 'secret', namespace: 'helm4-secret' },
];
const namespaces = cases.map(({ namespace }) => namespace);

/** What the webhook finds, and what it answered. */
const world = { database: makeDatabase() };
const answers: Answer[] = [];
let plane: ControlPlane;
let helm4: string;
let server: Awaited<ReturnType<typeof listen>>;

beforeAll(async () => {
  plane = await startControlPlane({ purpose: 'helm record tests' });
  server = await listen();
  helm4 = join(await ensureTool('helm4'), 'helm4');
  for (const namespace of namespaces) await must('kubectl', ['create', 'namespace', namespace]);
  await must('kubectl', ['label', 'namespace', ...namespaces, 'downdraft.dev/airflow=true']);
  await must('kubectl', ['apply', '-f', '-'], configuration(server));
  const trial = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'trial', namespace: 'helm3-secret', labels } };
  await waitFor('the webhook to be in force', 30_000, async () => {
    await must('kubectl', ['create', '--dry-run=server', '-f', '-'], trial);
    return answers.length > 0;
  });
}, 180_000);

afterAll(async () => {
  await server?.close();
  await plane?.stop();
});

beforeEach(() => {
  answers.length = 0;
  world.database = makeDatabase();
});

const labels = { owner: 'helm', status: 'pending-upgrade' };
const example = 'manifests/example';
const to = (version: string, ...set: string[]) =>
  [`airflowVersion=${version}`, ...set].flatMap((value) => ['--set', value]);

describe.each(cases)('$program with HELM_DRIVER=$driver', ({ program, driver, namespace }) => {
  const helm = (...args: string[]) =>
    run(program === 'helm4' ? helm4 : program, ['-n', namespace, ...args], undefined, { HELM_DRIVER: driver });
  const reasons = () => answers.map(({ audit }) => audit.reason);

  it('installing is not asked about, and a newer version is let through', async () => {
    expect(await helm('install', 'af', example, '--no-hooks', ...to('2.6.3'))).toMatchObject({ code: 0 });
    expect(answers).toEqual([]);
    world.database = makeDatabase({ version: '3.1.8' });
    expect(await helm('upgrade', 'af', example, '--no-hooks', ...to('3.2.1'))).toMatchObject({ code: 0 });
    expect(reasons()).toEqual(['Upgrade']);
  });

  it.each([
    ['an upgrade', ['upgrade', 'af', example, ...to('2.6.3')], 'UPGRADE FAILED'],
    ['G38: an upgrade without hooks', ['upgrade', 'af', example, '--no-hooks', ...to('2.6.3')], 'UPGRADE FAILED'],
    ['G37: a rollback', ['rollback', 'af', '1'], ''],
  ])('%s to a version that is too old is denied, and nothing has changed', async (_, args, failed) => {
    const before = await settled(namespace);
    const { code, stderr } = await helm(...args);
    expect(code).toBe(1);
    expect(stderr).toContain(`Error: ${failed}`);
    expect(stderr).toContain('admission webhook "record.downdraft.dev" denied the request: downdraft: deployment/af-');
    expect(stderr).toMatch(
      /image 2\.6\.3 is below 2\.7\.0.*The same goes for 3 more workloads\. Helm has applied nothing/,
    );
    expect(reasons()).toEqual(['TargetTooOld']);
    expect(await stored(namespace)).toEqual(before);
    expect(await revisions()).toEqual(['1 superseded', '2 deployed']);
  });

  it.each([
    ['', []],
    [', also with --no-hooks, which the record does not tell', ['--no-hooks']],
  ])('an upgrade whose migration Job comes first is denied%s', async (_, flags) => {
    const before = await settled(namespace);
    const hook = 'migrateDatabaseJob.jobAnnotations.helm\\.sh/hook=pre-upgrade';
    const { code, stderr } = await helm('upgrade', 'af', example, ...flags, ...to('3.1.8', hook));
    expect(code).toBe(1);
    expect(stderr).toContain('denied the request: downdraft: job/af-run-airflow-migrations is a pre-upgrade hook');
    expect(stderr).toContain('migrateDatabaseJob.enabled=false');
    expect(reasons()).toEqual(['MigrationHookFirst']);
    expect(await stored(namespace)).toEqual(before);
  });

  it('nothing else is kept from anyone: holds are for the workloads, another database is not judged here', async () => {
    const up = ['upgrade', 'af', example, '--no-hooks'];
    expect(await helm(...up, ...to('3.1.8'))).toMatchObject({ code: 0, stderr: '' });
    expect(await helm('rollback', 'af', '2', '--no-hooks')).toMatchObject({ code: 0, stderr: '' });
    expect(await helm(...up, ...to('3.2.1', 'scheduler.replicas=2'))).toMatchObject({ code: 0, stderr: '' });
    const other = 'data.connection=postgresql://u:p@restored:5432/airflow';
    expect(await helm(...up, ...to('2.6.3', other))).toMatchObject({ code: 0, stderr: '' });
    expect(reasons()).toEqual(['DatabaseAhead', 'Fits', 'SameImage', 'ConnectionChanged']);
  });

  const revisions = async () => {
    const { stdout } = await helm('history', 'af', '-o', 'json');
    return (JSON.parse(stdout) as { revision: number; status: string }[]).map((r) => `${r.revision} ${r.status}`);
  };
});

describe('the API server does not ask', () => {
  it.each([
    ['about a namespace that holds no Airflow', { namespace: 'default', labels }],
    ['about a record that is deployed', { namespace: 'helm3-secret', labels: { ...labels, status: 'deployed' } }],
    ['about what is not helm’s', { namespace: 'helm3-secret', labels: { status: 'pending-upgrade' } }],
    ['about what has no labels', { namespace: 'helm3-secret' }],
  ])('%s', async (_, metadata) => {
    for (const kind of ['ConfigMap', 'Secret'])
      await must('kubectl', ['create', '--dry-run=server', '-f', '-'], {
        apiVersion: 'v1',
        kind,
        metadata: { name: 'x', ...metadata },
      });
    expect(answers).toEqual([]);
  });

  it('about a Secret of another type', async () => {
    const metadata = { name: 'x', namespace: 'helm3-secret', labels };
    const opaque = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque' };
    await must('kubectl', ['create', '--dry-run=server', '-f', '-'], opaque);
    expect(answers).toEqual([]);
  });
});

it('helm is not kept waiting when nobody answers: the guard of the workloads is another webhook', async () => {
  await server.close();
  const args = ['-n', 'helm3-secret', 'upgrade', 'af', example, '--no-hooks', ...to('2.6.3')];
  expect(await run('helm', args)).toMatchObject({ code: 0 });
});

/** Answers /record as src/admission/server.ts does. */
async function listen() {
  const { ca, leaf } = await issue({ serviceName: 'x', namespace: 'x', now: new Date(), hosts: ['127.0.0.1'] });
  const app = Fastify({ https: leaf, bodyLimit: 7 * 1024 * 1024, forceCloseConnections: true });
  const find = async (kind: string, namespace: string, name: string) => {
    const { stdout } = await must('kubectl', ['-n', namespace, 'get', kind, name, '--ignore-not-found', '-o', 'json']);
    return stdout ? JSON.parse(stdout) : undefined;
  };
  app.post('/record', async ({ body }) => {
    const request = readReview(body);
    const answer = await early(request, { ...makePorts(world), storedWorkload: find });
    answers.push(answer);
    return respond(request.uid, answer);
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const caBundle = Buffer.from(ca.cert).toString('base64');
  return { url: `https://127.0.0.1:${port}/record`, caBundle, close: () => app.close() };
}

function configuration({ url, caBundle }: { url: string; caBundle: string }) {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'downdraft-record' },
    webhooks: [
      {
        name: 'record.downdraft.dev',
        admissionReviewVersions: ['v1'],
        clientConfig: { url, caBundle },
        failurePolicy: 'Ignore',
        sideEffects: 'None',
        timeoutSeconds: 5,
        matchPolicy: 'Equivalent',
        rules: [
          {
            operations: ['CREATE'],
            apiGroups: [''],
            apiVersions: ['v1'],
            resources: ['secrets', 'configmaps'],
            scope: 'Namespaced',
          },
        ],
        namespaceSelector: {
          matchLabels: { 'downdraft.dev/airflow': 'true' },
          matchExpressions: [
            { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system', 'downdraft'] },
          ],
        },
        objectSelector: {
          matchLabels: { owner: 'helm' },
          matchExpressions: [{ key: 'status', operator: 'In', values: ['pending-upgrade', 'pending-rollback'] }],
        },
        matchConditions: [
          {
            name: 'record',
            expression: "request.kind.kind == 'ConfigMap' || (has(object.type) && object.type == 'helm.sh/release.v1')",
          },
        ],
      },
    ],
  };
}

/** What is stored in a namespace, by kind and name, with its resourceVersion. */
async function stored(namespace: string): Promise<Record<string, string>> {
  const kinds = 'secret,configmap,deployment,statefulset,job,service,serviceaccount,replicaset';
  const { stdout } = await must('kubectl', ['-n', namespace, 'get', kinds, '-o', 'json']);
  const items = JSON.parse(stdout).items as { kind: string; metadata: { name: string; resourceVersion: string } }[];
  return Object.fromEntries(items.map(({ kind, metadata }) => [`${kind}/${metadata.name}`, metadata.resourceVersion]));
}

/** The same, once the controllers have done their part. */
async function settled(namespace: string): Promise<Record<string, string>> {
  let last = '';
  return waitFor(
    'nothing changes any more',
    30_000,
    async () => {
      const now = await stored(namespace);
      const same = JSON.stringify(now) === last;
      last = JSON.stringify(now);
      return same && now;
    },
    1000,
  );
}

async function must(program: string, args: string[], input?: unknown) {
  const result = await run(program, args, input);
  if (result.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${result.stderr}`);
  return result;
}

async function run(program: string, args: string[], input?: unknown, env: Record<string, string> = {}) {
  const options = { env: { ...plane.env, ...env }, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 };
  const running = promisify(execFile)(program, args, options);
  running.child.stdin?.end(input === undefined ? '' : JSON.stringify(input));
  try {
    return { code: 0, ...(await running) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout: string; stderr: string };
    return { code: typeof code === 'number' ? code : -1, stdout, stderr };
  }
}
