/** What a registry, or what stands in its place, can do to us: each time one line that says why, in time and in bounds. */
import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { issue } from '../../certs/authority.ts';
import { readImage } from '../../src/registry/read.ts';
import { type Document, digestOf, makeDocument, makeImage, types } from './image.ts';
import { read, start } from './reading.ts';
import { give, type Registry, type Respond, refuse } from './registry.ts';

const image = makeImage({ label: '3.1.8' });
const top = '/v2/airflow/manifests/1';
const blob = `/v2/airflow/blobs/${digestOf(image.config.body)}`;
const found = { version: '3.1.8' };

async function startWithImage(answers: Record<string, Respond> = {}): Promise<Registry> {
  const registry = await start();
  registry.putImage('airflow', '1', image);
  Object.assign(registry.answers, answers);
  return registry;
}

const redirect =
  (location: string): Respond =>
  (_request, response) =>
    response.writeHead(307, { location }).end();

describe('redirects', () => {
  it('the config may lie in a storage, which never gets our Authorization, nor does the return', async () => {
    const registry = await start({ scheme: 'basic', users: ['u:p'] });
    registry.putImage('airflow', '1', image);
    const storage = await start();
    registry.answers[blob] = redirect(`https://user:password@${storage.host}/signed?key=s3cret`);
    storage.answers['/signed*'] = redirect(`https://${registry.host}/elsewhere`);
    registry.answers['/elsewhere'] = (_request, response) => give(response, image.config);
    expect(await read(registry, 'airflow:1', ['u:p'])).toMatchObject(found);
    expect(storage.seen).toMatchObject([{ path: '/signed?key=s3cret', authorization: undefined }]);
    expect(registry.seen.find(({ path }) => path === '/elsewhere')).toMatchObject({ authorization: undefined });
    expect(registry.seen.find(({ path }) => path === blob)?.authorization).toMatch(/^Basic /);
  });

  it('within the registry it goes along', async () => {
    const registry = await start({ scheme: 'basic', users: ['u:p'] });
    registry.putImage('airflow', '1', image);
    registry.putImage('airflow', '2', image);
    registry.answers['/v2/airflow/manifests/3'] = (request, response) => {
      if (request.headers.authorization) redirect('2')(request, response, '');
      else refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm=x' });
    };
    expect(await read(registry, 'airflow:3', ['u:p'])).toMatchObject(found);
  });

  it("a storage's own demand for a login is not met", async () => {
    const storage = await start({ scheme: 'basic', users: ['u:p'] });
    const registry = await startWithImage({ [blob]: redirect(`https://${storage.host}/x?signature=s3cret`) });
    expect(await read(registry, 'airflow:1', ['u:p'])).toEqual({
      unknown: `${storage.host}, to which ${registry.host} sends us, answers 401`,
    });
    expect(storage.seen).toMatchObject([{ authorization: undefined }]);
  });

  it.each<[string, string, string]>([
    ['to plain HTTP', 'http://127.0.0.1:1/x?signature=s3cret', '127.0.0.1:1 is only to be had without TLS'],
    ['to a file', 'file:///etc/passwd', 'the registry names an address that is none of the web'],
    ['to nothing', 'https://', ' redirects to nowhere'],
    ['to itself', blob, ' redirects more than 5 times'],
  ])('%s: unknown', async (_, location, why) => {
    const registry = await startWithImage({ [blob]: redirect(location) });
    const told = (await read(registry, 'airflow:1')) as { unknown: string };
    expect(told.unknown.replace(registry.host, '')).toBe(why);
    expect(registry.seen.length).toBeLessThanOrEqual(8);
  });
});

describe('documents', () => {
  const with_ =
    (document: Document): Respond =>
    (_request, response) =>
      give(response, document);
  const manifest = (content: object | string) => with_(makeDocument(types.manifest, content));
  const config = { digest: digestOf(image.config.body), size: 5 };

  it.each<[string, Record<string, Respond>, string]>([
    [
      'a manifest that is no JSON',
      { [top]: with_({ type: types.manifest, body: Buffer.from('<html>') }) },
      'JSON object',
    ],
    ['a manifest that is a text', { [top]: manifest('x') }, 'the manifest is no JSON object'],
    ['a manifest of nothing', { [top]: manifest({}) }, 'the manifest is of a kind that is not known'],
    ['schema 1', { [top]: manifest({ schemaVersion: 1, fsLayers: [] }) }, 'a manifest of schema 1'],
    ['a manifest that is also an index', { [top]: manifest({ manifests: [], config }) }, 'is also an index'],
    ['an index that says it is a manifest', { [top]: manifest({ manifests: [] }) }, 'a kind that is not known'],
    ['a config named by another kind of digest', { [top]: manifest({ config: { digest: 'md5:1' } }) }, 'not known'],
    ['a config named by a path', { [top]: manifest({ config: { digest: '../../x' } }) }, 'not known'],
    ['a config of another content', { [blob]: manifest({ config: {} }) }, 'gives another config than its digest names'],
    [
      'a config said to be too large',
      { [top]: manifest({ config: { ...config, size: 9e6 } }) },
      "the image's config is larger than 8192 KiB",
    ],
  ])('%s: unknown', async (_, answers, why) => {
    const registry = await startWithImage(answers);
    expect(await read(registry, 'airflow:1')).toEqual({ unknown: expect.stringContaining(why) });
  });

  it('a manifest other than its digest names: unknown, though the tag beside it would fit', async () => {
    const registry = await startWithImage();
    const digest = `sha256:${'0'.repeat(64)}`;
    registry.put(`airflow/manifests/${digest}`, image.manifest);
    expect(await read(registry, `airflow:1@${digest}`)).toEqual({
      unknown: 'the registry gives another manifest than its digest names',
    });
  });

  it.each([
    ['a config', false],
    ['labels', true],
  ])('%s of null: no version in it', async (_, deep) => {
    const registry = await start();
    const broken = makeDocument(types.config, deep ? { config: { Labels: null, Env: null } } : { config: null });
    const digest = digestOf(broken.body);
    registry.putBlob('airflow', broken.body);
    registry.put('airflow/manifests/1', makeDocument(types.manifest, { config: { digest, size: broken.body.length } }));
    expect(await read(registry, 'airflow:1')).toEqual({ unknown: expect.stringContaining('has neither the label') });
  });

  it('a config of 7 MiB is read', async () => {
    const registry = await start();
    registry.putImage('airflow', '1', makeImage({ label: '3.1.8', padding: 7 * 1024 * 1024 }));
    expect(await read(registry, 'airflow:1')).toMatchObject(found);
  });

  it.each<[string, string, string]>([
    ['manifest', top, 'an answer is larger than 4096 KiB'],
    ['config', blob, 'an answer is larger than 8192 KiB'],
  ])('a %s that never ends is cut off', async (_, path, why) => {
    let sent = 0;
    const registry = await startWithImage({
      [path]: (_request, response) => {
        const chunk = Buffer.alloc(256 * 1024, ' ');
        const more = () => {
          sent += chunk.length;
          if (!response.destroyed) response.write(chunk, () => setImmediate(more));
        };
        more();
      },
    });
    expect(await read(registry, 'airflow:1')).toEqual({ unknown: why });
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });
});

describe('statuses', () => {
  it.each<[number, Record<string, string>, string]>([
    [404, {}, 'has no airflow of that tag or digest (404)'],
    [403, {}, 'wants a login (403), and no pull secret is for it'],
    [401, {}, 'wants a login (401), and no pull secret is for it'],
    [401, { 'www-authenticate': 'Negotiate' }, 'wants a login (401), and no pull secret is for it'],
    [429, {}, 'has had too many requests (429)'],
    [429, { 'retry-after': '120' }, 'has had too many requests (429); try again in 120 s'],
    [429, { 'retry-after': 'Sat, 21 Nov' }, 'has had too many requests (429)'],
    [500, {}, 'answers 500'],
    [503, { 'retry-after': '5' }, 'answers 503'],
    [204, {}, 'answers 204'],
  ])('%d %o', async (status, headers, why) => {
    const registry = await startWithImage({ [top]: (_, response) => refuse(response, status, 'TOOMANY', headers) });
    expect(await read(registry, 'airflow:1')).toEqual({ unknown: `${registry.host} ${why}` });
  });

  it('too many requests for tokens: no further login is tried', async () => {
    const registry = await start({ scheme: 'bearer' });
    registry.answers['/token*'] = (_, response) => refuse(response, 429, 'TOOMANYREQUESTS');
    expect(await read(registry, 'airflow:1', ['a:b', 'c:d'])).toEqual({
      unknown: `${registry.host} gives no token (429)`,
    });
    expect(registry.seen).toHaveLength(2);
  });
});

describe('time', () => {
  const hang: Respond = () => {};
  const drip: Respond = (_request, response) => {
    response.writeHead(200, { 'content-type': types.manifest });
    const timer = setInterval(() => response.write(' '), 20);
    response.on('close', () => clearInterval(timer));
  };

  it.each<[string, Record<string, Respond>]>([
    ['no answer to the first request', { [top]: hang }],
    ['no answer to a later one', { [blob]: hang }],
    ['a body, drop by drop', { [blob]: drip }],
    ['a refusal, drop by drop', { [top]: (q, r) => drip(q, Object.assign(r, { statusCode: 500 }), '') }],
  ])('%s: unknown, after the time for the whole', async (_, answers) => {
    const registry = await startWithImage(answers);
    const started = performance.now();
    expect(await read(registry, 'airflow:1', [], { timeoutMs: 300 })).toEqual({
      unknown: `${registry.host}: no answer within 300 ms`,
    });
    expect(performance.now() - started).toBeLessThan(1500);
  });

  it('a realm that hangs', async () => {
    const registry = await start({ scheme: 'bearer', anonymous: true });
    registry.answers['/token*'] = hang;
    expect(await read(registry, 'airflow:1', [], { timeoutMs: 300 })).toEqual({
      unknown: `${registry.host}: no answer within 300 ms`,
    });
  });

  it('whoever asks may give up, before and in the middle', async () => {
    const registry = await startWithImage({ [top]: hang });
    const unknown = expect.stringContaining('the reading was given up');
    expect(await read(registry, 'airflow:1', [], { signal: AbortSignal.abort() })).toEqual({ unknown });
    expect(registry.seen).toEqual([]);
    expect(await read(registry, 'airflow:1', [], { signal: AbortSignal.timeout(100) })).toEqual({ unknown });
  });
});

describe('connections', () => {
  it('a certificate of a CA that is not known: unknown, and nothing was sent', async () => {
    const registry = await startWithImage();
    const { ca } = await issue({ serviceName: 'other', namespace: 'test', now: new Date('2026-01-01') });
    for (const bundle of [undefined, ca.cert])
      expect(await read(registry, 'airflow:1', ['u:p'], { ca: bundle })).toEqual({
        unknown: expect.stringMatching(/^127\.0\.0\.1:\d+: TLS failed \(\w+\)$/),
      });
    expect(registry.seen).toEqual([]);
  });

  it('several CAs in one bundle', async () => {
    const registry = await startWithImage();
    const { ca } = await issue({ serviceName: 'other', namespace: 'test', now: new Date('2026-01-01') });
    const bundle = `# of the company\n${ca.cert}\n# of the registry\n${registry.ca}`;
    expect(await read(registry, 'airflow:1', [], { ca: bundle })).toMatchObject(found);
  });

  it.each(['', 'garbage', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])(
    'a bundle %o',
    async (ca) => {
      const registry = await startWithImage();
      expect(await read(registry, 'airflow:1', [], { ca })).toEqual({
        unknown: 'the CA bundle for registries is not made of PEM certificates',
      });
    },
  );

  it('plain HTTP: only for a registry that is listed, its realm too', async () => {
    const registry = await start({ scheme: 'bearer', users: ['u:p'] }, true);
    registry.door.realm = `http://${registry.host}/token`;
    registry.putImage('airflow', '1', image);
    expect(await read(registry, 'airflow:1', ['u:p'])).toEqual({ unknown: expect.stringContaining('TLS failed') });
    const insecureHosts = ['other:5000', registry.host];
    expect(await read(registry, 'airflow:1', ['u:p'], { insecureHosts })).toMatchObject(found);
  });

  it.each<[string, (socket: import('node:net').Socket) => void, RegExp]>([
    ['one that hangs up', (socket) => socket.destroy(), /: the connection was reset$/],
    ['one that does not speak HTTP', (socket) => socket.end('220 mail.example ESMTP\r\n'), / does not answer as HTTP/],
  ])('%s', async (_, act, why) => {
    const server = createServer((socket) => act(socket.on('error', () => {})));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const host = `127.0.0.1:${(server.address() as import('node:net').AddressInfo).port}`;
    const options = { credentials: [], timeoutMs: 2000, insecureHosts: [host] };
    expect(await readImage(`${host}/airflow:1`, options)).toEqual({ unknown: expect.stringMatching(why) });
  });

  it.each([
    ['127.0.0.1:1/airflow', '127.0.0.1:1: connection refused'],
    ['nowhere.invalid/airflow', /^nowhere\.invalid: (name not found|the name could not be resolved( just now)?)$/],
  ])('%s', async (name, why) => {
    const { unknown } = (await readImage(name, { credentials: [], timeoutMs: 5000 })) as { unknown: string };
    expect(unknown).toMatch(why);
  });
});

describe('names that are no image references reach nobody', () => {
  it.each([
    ...[
      '',
      'a b',
      'UPPER/airflow',
      'airflow:',
      ':tag',
      'airflow@sha256:1',
      'airflow@md5:0123',
      'airflow:1@',
      '/airflow',
    ],
    ...['host:5000/../../secret', 'host:5000/a/..%2f/b', 'host:5000/a?x=y:1', 'host:5000/a#b', 'host:5000/a//b'],
    ...[
      'host:99999/airflow',
      'user:pw@host.example/airflow',
      'host.example:80:80/airflow',
      `host.example/${'a'.repeat(300)}`,
    ],
    ...['airflow:1\r\nx: y', 'host.exa\nmple/airflow', `airflow:${'1'.repeat(129)}`, '[::1/airflow', 'a..b/airflow'],
  ])('%o', async (name) => {
    expect(await readImage(name, { credentials: [], timeoutMs: 1000 })).toEqual({
      unknown: 'its name is no image reference',
    });
  });
});
