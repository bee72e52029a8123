/** Whatever comes in: a clear answer, never a crash, never an allow of an Airflow image that the database is ahead of. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildServer, webhooks } from '../../src/admission/server.ts';
import { makePorts } from '../make/ports.ts';
import { makeReview } from '../make/review.ts';
import { makeDeployment } from '../make/workload.ts';

const older = 'apache/airflow:3.1.8';
const paths = Object.keys(webhooks);
const app = buildServer(makePorts({ stored: makeDeployment() }), { logger: undefined });

/** Sends text as an API server would. */
function post(path: string, payload: string | Buffer) {
  return app.inject({ method: 'POST', url: path, payload, headers: { 'content-type': 'application/json' } });
}

const update = () => makeReview({ object: makeDeployment({ image: older }), oldObject: makeDeployment() });

describe('a body that is no review', () => {
  it.each([
    ['nothing', '', 400],
    ['half a JSON text', '{"kind":', 400],
    ['a number', '7', 400],
    ['null', 'null', 400],
    ['a list', '[]', 400],
    ['an empty object', '{}', 400],
    ['another version', JSON.stringify({ ...update(), apiVersion: 'admission.k8s.io/v1beta1' }), 400],
    ['a review without a request', JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' }), 400],
    ['a review without a uid', JSON.stringify(update()).replace(/"uid":"705ab4f5[^"]*",/, ''), 400],
  ])('%s is refused with a sentence', async (_, body, code) => {
    for (const path of paths) {
      const answer = await post(path, body);
      expect(answer.statusCode).toBe(code);
      expect(answer.body.length).toBeGreaterThan(10);
    }
  });

  it('of 8 MB is refused as too large', async () => {
    const answer = await post('/mutate', Buffer.alloc(8 * 1024 * 1024, ' '));
    expect(answer.statusCode).toBe(413);
    expect(answer.body).toContain('larger than 7340032 bytes');
  });

  it('of another type is refused', async () => {
    const answer = await app.inject({
      method: 'POST',
      url: '/mutate',
      payload: 'a=b',
      headers: { 'content-type': 'text/xml' },
    });
    expect(answer.statusCode).toBe(415);
  });
});

describe('a review that is odd', () => {
  it('of 6.5 MB is judged', async () => {
    const review = update();
    review.request.object!.metadata.annotations = { large: 'x'.repeat(6.5 * 1024 * 1024) };
    const answer = (await post('/mutate', JSON.stringify(review))).json().response;
    expect(answer.auditAnnotations.verdict).toBe('hold');
    expect(answer.patch.length).toBeLessThan(1000);
  });

  const nested = (depth: number) => {
    const deep = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
    return JSON.stringify(update()).replace('"heritage":"Helm"', `"heritage":"Helm","deep":${deep}`);
  };

  it.each([10, 900])('nested %i deep is judged', async (depth) => {
    const { response } = (await post('/mutate', nested(depth))).json();
    expect(response).toMatchObject({ uid: update().request.uid, auditAnnotations: { verdict: 'hold' } });
  });

  it.each([
    ['nested deeper than any object', nested(20_000), 'nested'],
    ['of more values than any object has', JSON.stringify({ ...update(), more: Array(200_000).fill(0) }), 'values'],
  ])('%s is refused unparsed, with a sentence', async (_, body, why) => {
    const answer = await post('/mutate', body);
    expect(answer.statusCode).toBe(413);
    expect(answer.body).toContain(why);
  });

  it('that is small and nested is parsed, since it can take no room, and answered', async () => {
    const answer = await post('/mutate', nested(1100));
    expect([200, 400]).toContain(answer.statusCode);
    expect((await post('/mutate', JSON.stringify(update()))).json().response.auditAnnotations.verdict).toBe('hold');
  });

  it('with __proto__ everywhere is judged as without, and the patch names none of it', async () => {
    const poison = '"__proto__":{"paused":true,"allowed":true,"image":"x"},"constructor":{"prototype":{"y":1}},';
    const body = JSON.stringify(update()).replaceAll('{"', `{${poison}"`);
    const { response } = (await post('/mutate', body)).json();
    expect(response.auditAnnotations.verdict).toBe('hold');
    expect(Buffer.from(response.patch, 'base64').toString()).not.toContain('proto');
    expect(({} as Record<string, unknown>).paused).toBeUndefined();
    expect(({} as Record<string, unknown>).y).toBeUndefined();
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('with %s for names is answered', async (name) => {
    const labels = { tier: 'airflow', component: name, release: name };
    const object = makeDeployment({ image: name, labels });
    for (const path of paths) {
      const review = makeReview({ object, oldObject: makeDeployment({ labels }) });
      expect((await post(path, JSON.stringify(review))).statusCode).toBe(200);
    }
  });

  it.each([
    [
      'containers is a text',
      (d: ReturnType<typeof makeDeployment>) => Object.assign(d.spec.template.spec, { containers: 'abc' }),
    ],
    ['template is missing', (d: ReturnType<typeof makeDeployment>) => Object.assign(d.spec, { template: undefined })],
    ['labels is a list', (d: ReturnType<typeof makeDeployment>) => Object.assign(d.metadata, { labels: ['tier'] })],
    ['spec is a number', (d: ReturnType<typeof makeDeployment>) => Object.assign(d, { spec: 7 })],
    [
      'a container is null',
      (d: ReturnType<typeof makeDeployment>) => Object.assign(d.spec.template.spec, { containers: [null] }),
    ],
  ])('whose %s: is answered, and not held', async (_, spoil) => {
    const object = makeDeployment({ image: older });
    spoil(object);
    for (const path of paths) {
      const answer = await post(path, JSON.stringify(makeReview({ object, oldObject: makeDeployment() })));
      expect(answer.statusCode).toBe(200);
      expect(answer.json().response.uid).toBe(update().request.uid);
    }
  });
});

describe('a name in a review', () => {
  const named = [
    ['name'],
    ['namespace'],
    ['kind', 'kind'],
    ['kind', 'group'],
    ['subResource'],
    ['object', 'metadata', 'name'],
    ['object', 'metadata', 'generateName'],
    ['object', 'metadata', 'namespace'],
    ['oldObject', 'metadata', 'name'],
  ];
  const none = [
    '..',
    '.',
    '../x',
    '../../api/v1/nodes',
    'x/y',
    '/',
    '%2e%2e%2fx',
    'x\ny',
    'x\0',
    '\\x',
    'a'.repeat(254),
    7,
    {},
    ['x'],
  ];

  it.each(named)('%s %s %s: what names nothing is refused, and looked up nowhere', async (...where) => {
    const ports = makePorts({ stored: makeDeployment() });
    const asking = buildServer(ports, { logger: undefined });
    for (const path of paths)
      for (const name of none) {
        const review = update();
        const at = where.filter((part) => part !== undefined);
        put(review.request as never, at, name);
        const headers = { 'content-type': 'application/json' };
        const answer = await asking.inject({ method: 'POST', url: path, payload: JSON.stringify(review), headers });
        expect([answer.statusCode, answer.body], JSON.stringify(name)).toEqual([
          400,
          `the AdmissionReview's request.${at.join('.')} is no name that Kubernetes could have given`,
        ]);
      }
    expect(ports.asked).toEqual([]);
  });

  it.each([
    ['a name that is to be made', { name: '', generateName: 'af-run-airflow-migrations-' }],
    ['the longest', { name: 'a'.repeat(253) }],
    ['that of a role', { name: 'system:controller:x' }],
    ['one that the API server will refuse itself', { name: 'My_Airflow 1' }],
    ['none at all', {}],
  ])('%s is taken', async (_, { name, generateName }: { name?: string; generateName?: string }) => {
    for (const path of paths) {
      const review = update();
      Object.assign(review.request, { name, operation: 'CREATE', oldObject: null });
      Object.assign(review.request.object!.metadata, { name, generateName });
      expect((await post(path, JSON.stringify(review))).statusCode).toBe(200);
    }
  });
});

describe('an error in a port', () => {
  it('is not told to whoever asked', async () => {
    const failing = () => {
      throw new Error('secrets "topsecret" is forbidden: User "system:serviceaccount:downdraft:downdraft" may not');
    };
    const app = buildServer(
      {
        ...makePorts(),
        get settings(): never {
          return failing();
        },
      },
      { logger: undefined },
    );
    const headers = { 'content-type': 'application/json' };
    const answer = await app.inject({ method: 'POST', url: '/mutate', payload: JSON.stringify(update()), headers });
    expect(answer.json().response.status.message).toBe(
      `downdraft: could not judge: an error of its own, which its log tells under uid ${update().request.uid}`,
    );
    expect(answer.body).not.toContain('topsecret');
  });
});

describe('random reviews', () => {
  const wild = fc.jsonValue({ maxDepth: 4 });
  const spot = fc.constantFrom(
    ['kind'],
    ['group'],
    ['name'],
    ['namespace'],
    ['operation'],
    ['userInfo'],
    ['subResource'],
    ['options'],
    ['dryRun'],
    ['object'],
    ['oldObject'],
    ['object', 'metadata'],
    ['object', 'metadata', 'labels'],
    ['object', 'metadata', 'annotations'],
    ['object', 'spec'],
    ['object', 'spec', 'template'],
    ['object', 'spec', 'template', 'spec'],
    ['object', 'spec', 'template', 'spec', 'containers'],
    ['object', 'spec', 'paused'],
    ['oldObject', 'metadata'],
    ['oldObject', 'metadata', 'annotations'],
    ['oldObject', 'spec', 'template', 'spec'],
  );

  it('with any parts replaced always get an answer with their uid, but for names that are none', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        fc.array(fc.tuple(spot, wild), { maxLength: 3 }),
        async (path, changes) => {
          const review = update();
          for (const [where, value] of changes) put(review.request, where, value);
          const answer = await post(path, JSON.stringify(review));
          if (answer.statusCode === 400 && / is no name that Kubernetes could have given$/.test(answer.body)) return;
          expect(answer.statusCode).toBe(200);
          const { response } = answer.json();
          expect(response.uid).toBe(review.request.uid);
          expect(response.allowed || response.status.message.length > 20).toBe(true);
        },
      ),
      { numRuns: 3000 },
    );
  }, 60_000);

  it('of an older image of Airflow are never simply allowed', async () => {
    const beside = fc.constantFrom(
      ['object', 'metadata', 'annotations'],
      ['object', 'spec', 'paused'],
      ['object', 'spec', 'replicas'],
      ['object', 'status'],
      ['userInfo'],
      ['dryRun'],
      ['options'],
      ['resource'],
      ['requestKind'],
      ['object', 'metadata', 'labels'],
      ['object', 'metadata', 'ownerReferences'],
      ['object', 'metadata', 'generation'],
      ['object', 'spec', 'updateStrategy'],
      ['object', 'spec', 'selector'],
      ['object', 'spec', 'template', 'metadata'],
      ['object', 'spec', 'template', 'spec', 'initContainers'],
      ['object', 'spec', 'template', 'spec', 'schedulingGates'],
      ['oldObject', 'metadata', 'annotations'],
      ['oldObject', 'status'],
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(beside, wild), { maxLength: 4 }), fc.nat(15), async (changes, at) => {
        const review = update();
        for (const [where, value] of changes) put(review.request, where, value);
        const { response } = (await post('/mutate', poisoned(JSON.stringify(review), at))).json();
        expect(response.auditAnnotations.verdict).not.toBe('allow');
      }),
      { numRuns: 2000 },
    );
  }, 60_000);
});

/** With keys that a careless reader takes for an object's prototype, in one of the first objects of a review. */
function poisoned(body: string, at: number): string {
  const keys = '"__proto__":{"paused":true,"deletionTimestamp":"x"},"constructor":{"prototype":{"allowed":true}},';
  let seen = 0;
  const objects = /"(?:request|object|oldObject|metadata|labels|spec|template)":\{(?=")/g;
  return body.replace(objects, (opening) => (seen++ === at ? opening + keys : opening));
}

/** Sets what is at a path, where the path still leads to an object. */
function put(root: unknown, path: readonly string[], value: unknown): void {
  const [last, ...above] = [...path].reverse();
  let at = root as Record<string, unknown> | undefined;
  for (const key of above.reverse()) at = at?.[key] as Record<string, unknown> | undefined;
  if (typeof at === 'object' && at !== null) at[last!] = value;
}
