import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { credentialsFor, type PullSecret } from '../../src/registry/credentials.ts';

const login = (user: string, password = 'hunter2') => ({ auth: Buffer.from(`${user}:${password}`).toString('base64') });

/** A Secret as `kubectl create secret docker-registry` makes it; the user is named after the location. */
function makeSecret(...locations: string[]): PullSecret {
  const auths = Object.fromEntries(locations.map((location) => [location, login(location.replaceAll(':', ';'))]));
  return { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': JSON.stringify({ auths }) } };
}

function config(auths: unknown): PullSecret {
  return { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': JSON.stringify({ auths }) } };
}

function usersFor(image: string, ...secrets: PullSecret[]): string[] {
  return credentialsFor(image, secrets).credentials.map(({ username }) => username);
}

describe('which credential is for which image (as kubelet decides)', () => {
  // Those without a remark are of kubelet's own TestURLsMatch and TestDockerKeyring…
  it.each<[string, string, boolean]>([
    ['hello.kubernetes.io', 'hello.kubernetes.io/foo/bar', true],
    ['*.kubernetes.io', 'prefix.kubernetes.io/a', true],
    ['prefix.*.io', 'prefix.kubernetes.io/a', true],
    ['prefix.kubernetes.*', 'prefix.kubernetes.io/a', true],
    ['*-good.kubernetes.io', 'prefix-good.kubernetes.io/a', true],
    ['pre*x.k*s.io', 'prefix.kubernetes.io/a', true],
    ['*.kubernetes.io/blah', 'prefix.kubernetes.io/blah', true],
    ['prefix.*.io/foo', 'prefix.kubernetes.io/foo/bar', true],
    ['*.kubernetes.io:1111/blah', 'prefix.kubernetes.io:1111/blah', true],
    ['prefix.*.io:1111/foo', 'prefix.kubernetes.io:1111/foo/bar', true],
    ['*.kubernetes.io', 'kubernetes.io/a', false],
    ['*.*.kubernetes.io', 'prefix.kubernetes.io/a', false],
    ['*kubernetes.io', 'a.kubernetes.io/a', false],
    ['*kubernetes.io', 'kubernetes.io/a', true],
    ['*.*.*.kubernetes.io', 'a.b.c.kubernetes.io/a', true],
    ['kubernetes.io', 'kubernetes.com/a', false],
    ['k*.io', 'quay.io/a', false],
    ['*.kubernetes.io:1234/blah', 'prefix.kubernetes.io:1111/blah', false],
    ['prefix.*.io/foo', 'prefix.kubernetes.io:1111/foo/bar', false],
    ['https://hello.kubernetes.io', 'hello.kubernetes.io/a', true],
    ['http://hello.kubernetes.io', 'hello.kubernetes.io/a', true],
    ['https://hello.kubernetes.io/v1/', 'hello.kubernetes.io/a', true],
    ['https://hello.kubernetes.io/v2/', 'hello.kubernetes.io/a', true],
    ['https://hello.kubernetes.io/v2/team', 'hello.kubernetes.io/team/a', true],
    ['hello.kubernetes.io/', 'hello.kubernetes.io/a', true],
    // The prefix is one of the text, not of the path's parts.
    ['hello.kubernetes.io/te', 'hello.kubernetes.io/team/a', true],
    ['hello.kubernetes.io/team', 'hello.kubernetes.io/other/a', false],
    ['https://world.mesos.org', 'hello.kubernetes.io/a', false],
    ['*.docker.com', 'prefix.docker.io/a', false],
    ['localhost:5000', 'localhost:5000/a', true],
    ['localhost', 'localhost:5000/a', false],
    ['[::1]:5000', '[::1]:5000/a', true],
    ['hello.kubernetes.io', `hello.kubernetes.io/a@sha256:${'a'.repeat(64)}`, true],
    ['hello.kubernetes.io', `hello.kubernetes.io/a:1@sha256:${'a'.repeat(64)}`, true],
    // docker.io and its other names.
    ['https://index.docker.io/v1/', 'apache/airflow:3.1.8', true],
    ['https://index.docker.io/v1/', 'busybox', true],
    ['https://index.docker.io/v1/', 'docker.io/apache/airflow', true],
    ['https://index.docker.io/v1/', 'index.docker.io/apache/airflow', true],
    ['index.docker.io', 'apache/airflow', true],
    ['docker.io', 'apache/airflow', true],
    ['docker.io/apache', 'apache/airflow', true],
    ['docker.io/library', 'busybox', true],
    ['docker.io/apache', 'busybox', false],
    ['https://index.docker.io/v1/', 'quay.io/apache/airflow', false],
    ['https://index.docker.io/v1/', 'world.mesos.org/foo/bar', false],
    // What is no location or no image is for nothing.
    ['', 'hello.kubernetes.io/a', false],
    ['*', 'apache/airflow', false],
    ['hello.kubernetes.io', 'hello.kubernetes.io/../a', false],
  ])('%s for %s: %s', (location, image, expected) => {
    expect(usersFor(image, makeSecret(location)).length).toBe(expected ? 1 : 0);
  });

  it('the more particular ones come first, and every one that fits is there', () => {
    const locations = ['reg.example', '*.example', 'reg.example/team', 'other.example', 'reg.example/team/airflow'];
    expect(usersFor('reg.example/team/airflow:1', makeSecret(...locations))).toEqual([
      'reg.example/team/airflow',
      'reg.example/team',
      'reg.example',
      '*.example',
    ]);
  });

  it('two Secrets for one place are tried in their order; the same login is tried once', () => {
    const [a, b] = ['a', 'b'].map((user) => config({ 'reg.example': login(user) }));
    expect(usersFor('reg.example/x', a!, b!, a!)).toEqual(['a', 'b']);
  });

  it('docker.io itself goes before index.docker.io', () => {
    expect(usersFor('apache/airflow', makeSecret('https://index.docker.io/v1/', 'docker.io'))).toEqual(['docker.io']);
  });
});

describe('what stands in a Secret', () => {
  const read = (entry: unknown) => credentialsFor('reg.example/x', [config({ 'reg.example': entry })]);
  const told = (entry: unknown) =>
    read(entry).credentials.map((c) => [c.username, c.password(), c.identityToken?.()] as const);

  it.each<[string, unknown, [string, string, string | undefined][]]>([
    ['auth alone', { auth: btoa('u:p:q') }, [['u', 'p:q', undefined]]],
    ['auth without its padding', { auth: btoa('u:pw').replace(/=+$/, '') }, [['u', 'pw', undefined]]],
    ['username and password', { username: 'u', password: 'p', email: 'x' }, [['u', 'p', undefined]]],
    ['auth wins over username', { username: 'x', password: 'y', auth: btoa('u:p') }, [['u', 'p', undefined]]],
    ['an identity token', { auth: btoa('0000:'), identitytoken: 'rt' }, [['0000', '', 'rt']]],
    ['an identity token alone', { identitytoken: 'rt' }, [['', '', 'rt']]],
    ['letters beyond ASCII', { auth: Buffer.from('ü:ß').toString('base64') }, [['ü', 'ß', undefined]]],
    ['nothing, as a credential store leaves it', {}, []],
  ])('%s', (_, entry, expected) => {
    expect(told(entry)).toEqual(expected);
    expect(read(entry).faults).toEqual([]);
  });

  it('the older kind, kubernetes.io/dockercfg, has no auths around it', () => {
    const data = { '.dockercfg': JSON.stringify({ 'reg.example': login('old') }) };
    expect(usersFor('reg.example/x', { type: 'kubernetes.io/dockercfg', data })).toEqual(['old']);
  });

  it.each<[string, PullSecret, string]>([
    ['no JSON', { ...makeSecret(), data: { '.dockerconfigjson': '{"auths": hunter2' } }, 'that is no JSON object'],
    ['a list', { ...makeSecret(), data: { '.dockerconfigjson': '["hunter2"]' } }, 'that is no JSON object'],
    ['no such key', { ...makeSecret(), data: { config: 'hunter2' } }, 'has no .dockerconfigjson'],
    ['another type', { type: 'Opaque', data: { '.dockerconfigjson': 'hunter2' } }, 'is of another type'],
    ['auths that are text', config('hunter2'), 'whose auths are no JSON object'],
    ['an entry that is text', config({ 'reg.example': 'hunter2' }), 'has an entry that is no JSON object'],
    ['auth without a colon', config({ 'reg.example': { auth: btoa('hunter2') } }), 'not base64 of user:password'],
    ['a password that is a number', config({ 'reg.example': { username: 'u', password: 4 } }), 'that is no text'],
  ])('%s: left out and told, without its content; the others stay', (_, damaged, fault) => {
    const { credentials, faults } = credentialsFor('reg.example/x', [damaged, makeSecret('reg.example')]);
    expect(credentials.map(({ username }) => username)).toEqual(['reg.example']);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(`pull secret 1 `);
    expect(faults[0]).toContain(fault);
    expect(faults[0]).not.toContain('hunter2');
  });

  it('a Secret is told by its name where that is known', () => {
    const { faults } = credentialsFor('x', [{ type: 'Opaque', data: {}, name: 'regcred' }]);
    expect(faults).toEqual(['pull secret regcred is of another type']);
  });

  it('no password shows when a credential is logged or returned into JSON', () => {
    const { credentials } = read({ auth: btoa('u:hunter2'), identitytoken: 'hunter3' });
    expect(JSON.stringify(credentials) + inspect(credentials, { depth: 9, showHidden: true })).not.toMatch(
      /hunter|aHVudGVy/,
    );
  });

  it('an odd key from outside does no harm', () => {
    const text = '{"auths":{"__proto__":{"auth":"dTpw"},"constructor":{"auth":"dTpw"}}}';
    const odd = { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': text } };
    expect(usersFor('reg.example/x', odd)).toEqual([]);
    expect(credentialsFor('x', [{ type: 'constructor', data: {} }]).faults).toEqual([
      'pull secret 1 is of another type',
    ]);
  });
});
