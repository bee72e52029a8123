import { describe, expect, it } from 'vitest';
import { credentialsFor } from '../../src/registry/credentials.ts';
import type { ReadOptions } from '../../src/registry/read.ts';
import { digestOf, type ImageWishes, makeDocument, makeImage, makeIndex, types } from './image.ts';
import { read, readDigestOf, secretOf, start } from './reading.ts';
import { type Door, give, type Registry, refuse, theToken } from './registry.ts';

const authorizationsAt = (registry: Registry, path: string) =>
  registry.seen.filter((seen) => seen.path.startsWith(path)).map((seen) => seen.authorization);

describe('the version in an image', () => {
  it.each<[string, ImageWishes, object]>([
    ['the label', { label: '3.1.8' }, { version: '3.1.8', from: 'label' }],
    ['AIRFLOW_VERSION', { env: '3.1.8' }, { version: '3.1.8', from: 'env' }],
    ['both, the same', { label: '3.1.8', env: '3.1.8' }, { version: '3.1.8', from: 'label' }],
    ['both, the same in another spelling', { label: '3.2.0rc1', env: '3.2.0-rc.1' }, { version: '3.2.0rc1' }],
    ['both, with a local part', { label: '3.1.8', env: '3.1.8+company' }, { version: '3.1.8' }],
    ['a release candidate', { label: '3.2.0rc1' }, { version: '3.2.0rc1' }],
    ['a post release', { env: '2.11.0.post1' }, { version: '2.11.0.post1' }],
    ['a local version', { label: '3.1.8+local' }, { version: '3.1.8+local' }],
    ['an empty label', { label: '', env: '3.1.8' }, { version: '3.1.8', from: 'env' }],
    ['a label that is no text', { label: 3, env: '3.1.8' }, { version: '3.1.8', from: 'env' }],
    [
      'both, which disagree',
      { label: '3.1.8', env: '3.2.1' },
      { unknown: 'its label org.apache.airflow.version says 3.1.8 and its AIRFLOW_VERSION says 3.2.1' },
    ],
    [
      'neither; a label of others does not count',
      { labels: { 'org.opencontainers.image.version': '3.1.8' } },
      { unknown: 'its config has neither the label org.apache.airflow.version nor AIRFLOW_VERSION' },
    ],
    [
      'what is no version',
      { label: '3-2-1' },
      { unknown: 'in its config the label org.apache.airflow.version is no version' },
    ],
    [
      'a version that goes on and on',
      { label: `1${'.1'.repeat(60)}` },
      { unknown: 'in its config the label org.apache.airflow.version is no version' },
    ],
    ['an AIRFLOW_VERSION that is none', { env: 'main' }, { unknown: 'in its config AIRFLOW_VERSION is no version' }],
  ])('%s', async (_, requests, expected) => {
    const registry = await start();
    registry.putImage('team/airflow', '1', makeImage(requests));
    expect(await read(registry, 'team/airflow:1')).toMatchObject(expected);
  });

  it.each<[string, ImageWishes]>([
    ['an OCI manifest', { type: types.manifest }],
    ['an OCI manifest that does not tell its type', { withoutType: true }],
    ['a Docker manifest of schema 2', { type: types.docker }],
  ])('%s', async (_, requests) => {
    const registry = await start();
    const digest = registry.putImage('airflow', '1', makeImage({ label: '3.1.8', ...requests }));
    expect(await read(registry, 'airflow:1')).toEqual({ version: '3.1.8', from: 'label', digest });
  });

  it('latest, when neither tag nor digest is named', async () => {
    const registry = await start();
    registry.putImage('airflow', 'latest', makeImage({ label: '3.1.8' }));
    expect(await read(registry, 'airflow')).toMatchObject({ version: '3.1.8' });
  });

  it('tag and digest: the digest is asked for, the tag is not', async () => {
    const registry = await start();
    const digest = registry.putImage('airflow', 'old', makeImage({ label: '3.1.8' }));
    expect(await read(registry, `airflow:new@${digest}`)).toMatchObject({ version: '3.1.8', digest });
    expect(registry.seen.map(({ path }) => path)[0]).toBe(`/v2/airflow/manifests/${digest}`);
  });

  it('two requests over one connection are all that an open registry needs', async () => {
    const registry = await start();
    registry.putImage('airflow', '1', makeImage({ label: '3.1.8' }));
    await read(registry, 'airflow:1');
    expect(registry.seen).toHaveLength(2);
  });
});

describe('which image a name has now', () => {
  it('is told by one HEAD where the registry says it there, behind a login as well', async () => {
    const registry = await start({ scheme: 'basic', users: ['jane:secret'] });
    const digest = registry.putImage('airflow', 'stable', makeImage({ label: '3.1.8' }));
    registry.answers['/v2/airflow/manifests/stable'] = (request, response) => {
      if (request.headers.authorization === undefined)
        return refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="test"' });
      response.writeHead(200, { 'docker-content-digest': digest }).end();
    };
    expect(await readDigestOf(registry, 'airflow:stable', ['jane:secret'])).toEqual({ digest });
    expect(registry.seen.map(({ method }) => method)).toEqual(['HEAD', 'HEAD']);
  });

  it.each([
    ['says nothing', {}],
    ['says what is no digest', { 'docker-content-digest': 'sha256:abc' }],
  ])('is computed from the manifest where a HEAD %s', async (_, headers) => {
    const registry = await start();
    const image = makeImage({ label: '3.1.8' });
    const digest = registry.putImage('airflow', 'stable', image);
    registry.answers['/v2/airflow/manifests/stable'] = (request, response) => {
      response.writeHead(200, { 'content-type': image.manifest.type, ...headers });
      response.end(request.method === 'HEAD' ? undefined : image.manifest.body);
    };
    expect(await readDigestOf(registry, 'airflow:stable')).toEqual({ digest });
    expect(registry.seen.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
  });

  it('is that of a name with a digest, and nobody is asked', async () => {
    const registry = await start();
    const digest = `sha256:${'a'.repeat(64)}`;
    expect(await readDigestOf(registry, `airflow:1@${digest}`)).toEqual({ digest });
    expect(registry.seen).toEqual([]);
  });

  it('is not known where there is none of it', async () => {
    const registry = await start();
    expect(await readDigestOf(registry, 'airflow:none')).toEqual({ unknown: expect.stringMatching(/404/) });
  });
});

describe('an image for several platforms', () => {
  /** 3.1.8 on amd64, 3.1.7 on arm64, 3.1.6 on s390x: so that it shows which one was read. */
  const versions = { 'linux/s390x': '3.1.6', 'linux/arm64': '3.1.7', 'linux/amd64': '3.1.8' };
  function put(registry: Registry, platforms: string[], type?: string): string {
    const manifests = platforms.map((platform) => {
      const image = makeImage({ label: versions[platform as keyof typeof versions] ?? '3.1.5' });
      registry.putImage('airflow', platform.replace('/', '-'), image);
      return [platform, image.manifest] as const;
    });
    const index = makeIndex(Object.fromEntries(manifests), type);
    registry.put('airflow/manifests/1', index);
    return digestOf(index.body);
  }

  it.each<[string, string[], object | undefined, string]>([
    ['amd64 before others', ['linux/s390x', 'linux/arm64', 'linux/amd64'], undefined, '3.1.8'],
    ['arm64 where there is no amd64', ['linux/s390x', 'linux/arm64'], undefined, '3.1.7'],
    ['whatever there is', ['linux/s390x'], undefined, '3.1.6'],
    ['the one that is wanted', ['linux/amd64', 'linux/arm64'], { os: 'linux', architecture: 'arm64' }, '3.1.7'],
    ['no attestation, no Windows', ['unknown/unknown', 'windows/amd64', 'linux/arm64'], undefined, '3.1.7'],
    ['an entry that names no platform, last', ['', 'linux/s390x'], undefined, '3.1.6'],
    ['an entry that names no platform, where it is all there is', [''], undefined, '3.1.5'],
  ])('%s', async (_, platforms, platform, version) => {
    const registry = await start();
    const digest = put(registry, platforms);
    const options = platform ? { platform: platform as ReadOptions['platform'] } : {};
    expect(await read(registry, 'airflow:1', [], options)).toEqual({ version, from: 'label', digest });
  });

  it("a Docker manifest list, too; the digest told is the list's, which a pod's imageID has", async () => {
    const registry = await start();
    const digest = put(registry, ['linux/amd64'], types.list);
    expect(await read(registry, 'airflow:1')).toEqual({ version: '3.1.8', from: 'label', digest });
  });

  it('not made for the wanted platform: unknown', async () => {
    const registry = await start();
    put(registry, ['linux/amd64']);
    const platform = { os: 'linux', architecture: 'arm64' };
    expect(await read(registry, 'airflow:1', [], { platform })).toEqual({
      unknown: 'the image is not made for linux/arm64',
    });
  });

  it('an index of itself over and over ends', async () => {
    const registry = await start();
    const { manifest, config } = makeImage({ label: '3.1.8' });
    registry.putImage('airflow', 'inner', { manifest, config });
    let document = makeIndex({ 'linux/amd64': manifest });
    for (const depth of [1, 2, 3]) {
      registry.put(`airflow/manifests/${depth}`, document);
      registry.put(`airflow/manifests/${digestOf(document.body)}`, document);
      document = makeIndex({ 'linux/amd64': document });
    }
    expect(await read(registry, 'airflow:2')).toMatchObject({ version: '3.1.8' });
    expect(await read(registry, 'airflow:3')).toEqual({ unknown: 'the image is an index of indexes of indexes' });
  });
});

describe('being let in', () => {
  const image = makeImage({ label: '3.1.8' });
  const found = { version: '3.1.8' };
  async function guarded(door: Door): Promise<Registry> {
    const registry = await start(door);
    registry.putImage('team/airflow', '1', image);
    return registry;
  }

  it.each<[string, Door, string[]]>([
    ['Basic', { scheme: 'basic', users: ['u:p'] }, ['u:p']],
    ['Basic, with letters beyond ASCII', { scheme: 'basic', users: ['u:p:~'] }, ['u:p:~']],
    ['Basic, the second pull secret', { scheme: 'basic', users: ['u:new'] }, ['u:old', 'u:new']],
    ['a token, with a login', { scheme: 'bearer', users: ['u:p'] }, ['u:p']],
    ['a token, the second pull secret', { scheme: 'bearer', users: ['u:new'] }, ['u:old', 'u:new']],
    ['a token, as nobody', { scheme: 'bearer', anonymous: true }, []],
    ['a token as nobody, when the pull secret is out of date', { scheme: 'bearer', anonymous: true }, ['u:old']],
  ])('%s', async (_, door, logins) => {
    expect(await read(await guarded(door), 'team/airflow:1', logins)).toMatchObject(found);
  });

  it('one token serves all requests', async () => {
    const registry = await guarded({ scheme: 'bearer', users: ['u:p'] });
    await read(registry, 'team/airflow:1', ['u:p']);
    expect(authorizationsAt(registry, '/token')).toEqual([`Basic ${btoa('u:p')}`]);
    expect(authorizationsAt(registry, '/v2/')).toEqual([undefined, `Bearer ${theToken}`, `Bearer ${theToken}`]);
  });

  it('an identity token is a refresh token of OAuth 2, and the password is not sent', async () => {
    const registry = await guarded({ scheme: 'bearer', oauth: true, refreshTokens: ['rt'] });
    const secret = secretOf(registry, { auth: btoa('u:p'), identitytoken: 'rt' });
    const { credentials } = credentialsFor(`${registry.host}/x`, [secret]);
    expect(await read(registry, 'team/airflow:1', [], { credentials })).toMatchObject(found);
    expect(registry.seen.find(({ path }) => path === '/token')).toMatchObject({
      ...{ method: 'POST', authorization: undefined },
      body: expect.stringContaining('grant_type=refresh_token'),
    });
  });

  it('a realm without OAuth 2 is asked by GET, with the login beside the identity token', async () => {
    const registry = await guarded({ scheme: 'bearer', users: ['u:p'] });
    const secret = secretOf(registry, { auth: btoa('u:p'), identitytoken: 'rt' });
    const { credentials } = credentialsFor(`${registry.host}/x`, [secret]);
    expect(await read(registry, 'team/airflow:1', [], { credentials })).toMatchObject(found);
  });

  it('a refused pull secret is told even where nobody in particular is let in and finds no such image', async () => {
    const registry = await guarded({ scheme: 'bearer', anonymous: true });
    expect(await read(registry, 'team/airflow:none', ['u:old'])).toEqual({
      unknown: `${registry.host} does not accept the pull secret that is for it (401)`,
    });
    expect(await read(registry, 'team/airflow:none')).toEqual({
      unknown: `${registry.host} has no team/airflow of that tag or digest (404)`,
    });
  });

  it('a login without a name is not sent', async () => {
    const registry = await guarded({ scheme: 'bearer', users: [':p'] });
    expect(await read(registry, 'team/airflow:1', [':p'])).toMatchObject({ unknown: expect.stringContaining('(401)') });
    expect(authorizationsAt(registry, '/token')).toEqual([undefined]);
  });

  it('the realm may be another host', async () => {
    const realm = await start({ scheme: 'bearer', users: ['u:p'] });
    const registry = await guarded({ scheme: 'bearer', realm: `https://${realm.host}/token?account=x` });
    expect(await read(registry, 'team/airflow:1', ['u:p'])).toMatchObject(found);
    expect(realm.seen.map(({ path }) => path)).toEqual([expect.stringMatching(/^\/token\?account=x&service=the/)]);
  });

  it.each<[string, Door, string[], string]>([
    [
      'Basic, no pull secret',
      { scheme: 'basic', users: ['u:p'] },
      [],
      'wants a login (401), and no pull secret is for it',
    ],
    ['Basic, a wrong one', { scheme: 'basic' }, ['u:p'], 'does not accept the pull secret that is for it (401)'],
    [
      'a token, two wrong ones',
      { scheme: 'bearer' },
      ['a:b', 'c:d'],
      'any of the 2 pull secrets that are for it (401)',
    ],
    ['a token, no pull secret', { scheme: 'bearer' }, [], 'wants a login (401), and no pull secret is for it'],
  ])('%s: unknown, and says so', async (_, door, logins, why) => {
    expect(await read(await guarded(door), 'team/airflow:1', logins)).toEqual({
      unknown: expect.stringContaining(why),
    });
  });

  it.each<[string, string, string]>([
    ['in plain HTTP', 'http://127.0.0.1:1/token?secret=s', '127.0.0.1:1 is only to be had without TLS'],
    ['nowhere', 'not a url', 'the registry names no realm to get a token from'],
    ['of a file', 'file:///etc/passwd', 'the registry names an address that is none of the web'],
  ])('a realm %s is not asked, and no login is sent', async (_, realm, why) => {
    const registry = await guarded({ scheme: 'bearer', realm });
    expect(await read(registry, 'team/airflow:1', ['u:p'])).toEqual({ unknown: why });
    expect(authorizationsAt(registry, '/')).toEqual([undefined]);
  });

  it.each<[string, unknown]>([
    ['none in it', {}],
    ['one that no header could carry', { token: 'a\r\nx-evil: 1' }],
    ['one that is no text', { token: 7 }],
    ['null', null],
  ])('a realm whose answer has %s: unknown', async (_, content) => {
    const registry = await guarded({ scheme: 'bearer', users: ['u:p'] });
    registry.answers['/token*'] = (_request, response) => give(response, makeDocument('application/json', content));
    const { unknown } = (await read(registry, 'team/airflow:1', ['u:p'])) as { unknown: string };
    expect(unknown).toBe(`${registry.host} gives no token (its answer holds none)`);
  });

  it('a realm does not redirect a login elsewhere', async () => {
    const other = await start();
    const registry = await guarded({ scheme: 'bearer', users: ['u:p'] });
    registry.answers['/token*'] = (_request, response) =>
      response.writeHead(307, { location: `https://${other.host}/token` }).end();
    expect(await read(registry, 'team/airflow:1', ['u:p'])).toEqual({
      unknown: `${registry.host} gives no token (307)`,
    });
    expect(other.seen).toEqual([]);
  });

  it('what hides from one login (404) is found with the next', async () => {
    const registry = await guarded({ scheme: 'basic', users: ['blind:p', 'seeing:p'] });
    const blind = `Basic ${btoa('blind:p')}`;
    const { manifest } = image;
    registry.answers['/v2/team/airflow/manifests/1'] = (request, response) => {
      const { authorization } = request.headers;
      if (authorization === blind) refuse(response, 404, 'NAME_UNKNOWN');
      else if (!authorization) refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm=x' });
      else give(response, manifest);
    };
    expect(await read(registry, 'team/airflow:1', ['blind:p', 'seeing:p'])).toMatchObject(found);
    expect(await read(registry, 'team/airflow:1', ['blind:p'])).toEqual({
      unknown: `${registry.host} has no team/airflow of that tag or digest (404)`,
    });
  });
});
