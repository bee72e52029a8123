/** What is read of a Helm release record, and that nothing in one can cost more than it may. */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decodeHelmRelease, hookJobsOf, recordLimits, workloadsOf } from '../../src/admission/helm/release.ts';
import { makeMigrationJob, makeRecord, makeRelease, type RecordShape } from '../make/helmrelease.ts';
import { makeDeployment, makeStatefulSet } from '../make/workload.ts';

const limits = recordLimits;
const MiB = 1024 * 1024;
const packed = (text: string | Buffer) => gzipSync(text).toString('base64');

/** Processor time of this process so far; the machine may be busy with other things. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function decode(shape: RecordShape, within = limits) {
  return decodeHelmRelease(makeRecord(shape), within);
}

function found(shape: RecordShape, within = limits) {
  const release = decode(shape, within);
  return release && [...workloadsOf(release, within)].filter((w) => w !== undefined);
}

const names = (shape: RecordShape, within = limits) => found(shape, within)?.map((w) => w.name);

describe('a release record', () => {
  const objects = [makeDeployment(), makeStatefulSet()];

  it.each([
    ['a Secret', { objects }],
    ['a ConfigMap', { objects, driver: 'configmap' }],
    [
      'plain JSON, as Helm 2.x wrote it',
      { objects, payload: Buffer.from(JSON.stringify(makeRelease({ objects }))).toString('base64') },
    ],
    ['JSON with spaces', { payload: packed(JSON.stringify(makeRelease({ objects }), undefined, 2)) }],
  ] satisfies [string, RecordShape][])('in %s is read', (_, shape) => {
    expect(decode(shape)).toMatchObject({ name: 'af', namespace: 'air' });
    expect(names(shape)).toEqual(['af-scheduler', 'af-triggerer']);
  });

  it('tells the manifest and the hooks, and nothing of values and chart', () => {
    const release = decode({ objects, hooks: [{ object: makeMigrationJob('x:1'), events: ['pre-upgrade'] }] });
    expect(Object.keys(release!).sort()).toEqual(['hooks', 'manifest', 'name', 'namespace']);
    expect(JSON.stringify(release)).not.toContain('hunter2');
  });

  it.each([
    ['without data', {}],
    ['with data that is a text', { data: 'x' }],
    ['with a release that is a number', { data: { release: 7 } }],
    ['with nothing', { data: { release: '' } }],
    ['with a member of Object.prototype only', { data: Object.create({ release: packed('{}') }) }],
  ])('%s is none', (_, object) => {
    expect(decodeHelmRelease({ kind: 'Secret', ...object }, limits)).toBeUndefined();
  });

  const whole = Buffer.from(packed(JSON.stringify(makeRelease())), 'base64');
  const members = Array.from({ length: 100 }, (_, i) => [`m${i}`, i]);
  it.each([
    ['that is no base64', 'ä!'.repeat(1000)],
    ['of random bytes', Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 251)).toString('base64')],
    ['whose gzip is cut off', whole.subarray(0, whole.length - 20).toString('base64')],
    ['whose gzip has a wrong checksum', Buffer.concat([whole.subarray(0, -8), Buffer.alloc(8)]).toString('base64')],
    ['of half a JSON text', packed(JSON.stringify(makeRelease()).slice(0, -5))],
    ['that is a list', packed('[]')],
    ['that is null', packed('null')],
    [
      'with more members than Helm writes',
      packed(JSON.stringify({ ...Object.fromEntries(members), ...makeRelease() })),
    ],
    ['without a manifest', packed('{"name":"af","namespace":"air"}')],
    ['whose manifest is a list', packed('{"name":"af","namespace":"air","manifest":[]}')],
    ['whose members stand in __proto__', packed('{"__proto__":{"name":"af","namespace":"air","manifest":""}}')],
    ['whose members stand one level deeper', packed('{"a":{"name":"af","namespace":"air","manifest":""}}')],
    ['whose members stand in a list', packed('["name":"af","namespace":"air","manifest":""]')],
  ])('%s is none', (_, payload) => {
    expect(decode({ payload })).toBeUndefined();
    expect(decode({ payload, driver: 'configmap' })).toBeUndefined();
  });

  it('that decompresses to more than the limit is none', () => {
    const manifest = 'x'.repeat(3000);
    expect(decode({ manifest }, { ...limits, decoded: 10_000 })).toBeDefined();
    expect(decode({ manifest }, { ...limits, decoded: 3000 })).toBeUndefined();
    expect(decode({ manifest }, { ...limits, encoded: 100 })).toBeUndefined();
    expect(decode({ manifest }, { ...limits, manifest: 2000 })).toBeUndefined();
    const plain = Buffer.from(JSON.stringify(makeRelease({ manifest }))).toString('base64');
    expect(decode({ payload: plain }, { ...limits, decoded: 3000 })).toBeUndefined();
  });

  // Each would take seconds if it were just parsed.
  it.each([
    ['a gzip bomb', Buffer.alloc(400 * MiB)],
    ['brackets', Buffer.alloc(15 * MiB, '[')],
    ['nested objects', Buffer.from('{"a":'.repeat(3 * MiB))],
    ['members', Buffer.from(`{${'"a":1,'.repeat(2 * MiB)}"b":1}`)],
    ['colons', Buffer.from(`{"a"${':'.repeat(15 * MiB)}`)],
    ['commas', Buffer.from(`{${','.repeat(15 * MiB)}`)],
    ['empty strings', Buffer.from(`{"a":[${'"",'.repeat(5 * MiB)}1]}`)],
    ['backslashes', Buffer.from(`{"a":"${'\\'.repeat(15 * MiB)}"}`)],
    ['hooks of brackets', Buffer.from(`{"name":"af","namespace":"air","manifest":"","hooks":${'['.repeat(15 * MiB)}}`)],
  ])('of %s costs less than a second', (_, content) => {
    const payload = packed(content);
    const began = cpuMs();
    expect(decode({ payload })?.hooks ?? []).toEqual([]);
    expect(cpuMs() - began).toBeLessThan(1000);
  });
});

describe('the workloads of a manifest', () => {
  const redis = { ...makeDeployment({ component: 'redis' }) };
  const shop = makeDeployment({ name: 'shop', labels: { tier: 'web' }, podLabels: { tier: 'web' } });

  it("are Airflow's, in the record's namespace, with image and declared version", () => {
    const bare = makeDeployment({
      image: 'company/airflow:7',
      annotations: { 'downdraft.dev/airflow-version': '3.1.8' },
    });
    Reflect.deleteProperty(bare.metadata, 'namespace');
    expect(found({ objects: [redis, shop, bare] })).toMatchObject([
      { name: 'af-scheduler', namespace: 'air', image: 'company/airflow:7', declaredVersion: '3.1.8' },
    ]);
  });

  it('are not those of another namespace', () => {
    expect(names({ objects: [makeDeployment({ namespace: 'finance' }), makeStatefulSet()] })).toEqual(['af-triggerer']);
  });

  it('are found in JSON, in quotes, after comments, and with anchors', () => {
    const deployment = makeDeployment();
    const json = JSON.stringify(deployment);
    const quoted = JSON.stringify(deployment, undefined, 1).replace('"kind":', "'kind' :");
    const anchored = 'metadata: {name: x, labels: {tier: airflow, component: scheduler, release: &r x, other: *r}}';
    const spec = 'spec: {template: {spec: {containers: [{name: scheduler, image: apache/airflow:3.1.8}]}}}';
    const manifest = `# first\n${json}\n--- # second\n${quoted}\n---\napiVersion: apps/v1\nkind: Deployment\n${anchored}\n${spec}\n---`;
    expect(names({ manifest })).toEqual(['af-scheduler', 'af-scheduler', 'x']);
  });

  const lines = (text: string) => ({ manifest: `---\napiVersion: apps/v1\nkind: Deployment\n# airflow\n${text}\n` });
  const spec = 'spec: {template: {spec: {containers: [{name: scheduler, image: a:1}]}}}';
  const labels = 'labels: {tier: airflow, component: scheduler, release: af}';
  it.each([
    ['broken YAML', lines('metadata: {name: [')],
    ['a tag of its own', lines('metadata: !!js/function "x"')],
    ['no metadata', lines(spec)],
    ['no spec', lines(`metadata: {name: x, ${labels}}`)],
    ['a name that is a path', lines(`metadata: {name: ../../secrets/x, ${labels}}\n${spec}`)],
    ['a name that is a number', lines(`metadata: {name: 7, ${labels}}\n${spec}`)],
    [
      'a release that is an object',
      lines(`metadata: {name: x, labels: {tier: airflow, component: scheduler, release: {a: 1}}}\n${spec}`),
    ],
    ['labels that are a text', lines(`metadata: {name: x, labels: airflow}\n${spec}`)],
    ['labels in __proto__', lines(`metadata: {name: x, __proto__: {${labels}}}\n${spec}`)],
    [
      'containers that are null',
      lines(`metadata: {name: x, ${labels}}\nspec: {template: {spec: {containers: [null]}}}`),
    ],
    [
      'an image that is a list',
      lines(`metadata: {name: x, ${labels}}\nspec: {template: {spec: {containers: [{name: scheduler, image: []}]}}}`),
    ],
    [
      'another API group',
      { manifest: lines(`metadata: {name: x, ${labels}}\n${spec}`).manifest.replace('apps/v1', 'example.com/v1') },
    ],
    [
      'aliases that multiply',
      lines(
        `metadata: {name: x, ${labels}}\na: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n${spec}`,
      ),
    ],
    ['an alias to nothing', lines(`metadata: {name: *x, ${labels}}\n${spec}`)],
  ])('skip a document with %s, and read the next', (_, { manifest }) => {
    expect(names({ manifest: `${manifest}---\n${JSON.stringify(makeDeployment())}\n` })).toEqual(['af-scheduler']);
    expect(({} as Record<string, unknown>).labels).toBeUndefined();
  });

  it('are skipped beyond the limits: a large document, too much in all, too many documents', () => {
    const many = Array.from({ length: 10 }, (_, i) => makeDeployment({ name: `af-${i}` }));
    expect(names({ objects: many })).toHaveLength(10);
    expect(names({ objects: [...many, makeDeployment()] }, { ...limits, document: 100 })).toEqual([]);
    expect(names({ objects: many }, { ...limits, parsed: 6000 })!.length).toBeLessThan(6);
    expect(names({ objects: many }, { ...limits, documents: 4 })).toHaveLength(3);
  });

  const kind = 'apiVersion: apps/v1\nkind: Deployment\n# airflow\n';
  it.each([
    ['separators', '---\n'.repeat(MiB / 2)],
    ['dashes', '-'.repeat(3 * MiB)],
    ['kinds', 'kind:'.repeat(MiB / 2)],
    ['commas and spaces', `{${', '.repeat(MiB)}`],
    ['keys', `---\n${kind}${Array.from({ length: 6000 }, (_, k) => `k${k}: 1\n`).join('')}`],
    ['brackets', Array.from({ length: 10 }, () => `---\n${kind}a: ${'['.repeat(60_000)}\n`).join('')],
    ['lists', Array.from({ length: 10 }, () => `---\n${kind}a: [${'1,'.repeat(30_000)}1]\n`).join('')],
  ])('of %s: no single document keeps the others waiting for a second', (_, manifest) => {
    const release = decode({ manifest })!;
    let began = cpuMs();
    for (const workload of workloadsOf(release, limits)) {
      expect(workload).toBeUndefined();
      expect(cpuMs() - began).toBeLessThan(1000);
      began = cpuMs();
    }
    expect(cpuMs() - began).toBeLessThan(1000);
  });
});

describe('the hooks', () => {
  const object = makeMigrationJob('apache/airflow:3.1.8');
  const jobs = (hooks: RecordShape['hooks'], event = 'pre-upgrade') => [
    ...hookJobsOf(decode({ hooks: hooks! })!, event, limits),
  ];
  const job = { name: 'af-run-airflow-migrations', release: 'af', image: 'apache/airflow:3.1.8' };

  it("are Airflow's Jobs of the event that is asked for", () => {
    expect(jobs([{ object, events: ['pre-install', 'pre-upgrade'] }])).toEqual([job]);
    expect(jobs([{ object, events: ['post-upgrade'] }])).toEqual([]);
    expect(jobs([{ object, events: ['pre-upgrade'] }], 'pre-rollback')).toEqual([]);
  });

  it('are not other kinds and other Jobs', () => {
    const other = structuredClone(object);
    other.metadata.labels.tier = 'web';
    other.spec.template.metadata.labels.tier = 'web';
    const pod = { ...object, kind: 'Pod' };
    expect(jobs([other, pod].map((o) => ({ object: o, events: ['pre-upgrade'] }))).filter(Boolean)).toEqual([]);
  });

  it.each([
    [null],
    [7],
    ['x'],
    [{}],
    [[null, 7, { manifest: 7 }, { manifest: 'kind: Job' }, { manifest: '', events: 'x' }]],
  ])('that are %j are none', (hooks) => {
    expect(decode({ release: { hooks } })).toMatchObject({ hooks: [] });
  });
});
