/** Whatever comes from outside: an answer or an Unreadable, never another error. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { challengeOf } from '../../src/registry/authorization.ts';
import { credentialsFor } from '../../src/registry/credentials.ts';
import { choose, manifestOf, versionIn } from '../../src/registry/manifest.ts';
import { placeOf } from '../../src/registry/reference.ts';
import { Unreadable } from '../../src/registry/unreadable.ts';
import { types } from './image.ts';

function orUnreadable(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(Unreadable);
    expect((error as Error).message).toMatch(/^[^\n\r]{1,300}$/);
  }
}

/** JSON that has the right keys more often than not. */
const keys = ['schemaVersion', 'mediaType', 'manifests', 'config', 'digest', 'size', 'platform', 'os', 'architecture'];
const more = ['Labels', 'Env', 'org.apache.airflow.version', 'auths', 'reg.example', 'auth', 'identitytoken'];
const leaves = ['linux', `sha256:${'a'.repeat(64)}`, 'AIRFLOW_VERSION=3.1.8', '3.1.8', 'dTpw', ...Object.values(types)];
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 6 },
    fc.constantFrom(...leaves, null, 2, -1, true),
    tie('list'),
    tie('record'),
    fc.jsonValue(),
  ),
  list: fc.array(tie('json'), { maxLength: 4 }),
  record: fc.dictionary(fc.constantFrom(...keys, ...more, '__proto__', 'constructor'), tie('json'), { maxKeys: 6 }),
}));
const bytes = fc.oneof(
  json.map((value) => Buffer.from(JSON.stringify(value))),
  fc.uint8Array().map((value) => Buffer.from(value)),
);
const runs = { numRuns: 2000 };

describe('what comes from outside', () => {
  it('manifests', () => {
    const act = (body: Buffer, type: string | undefined) => {
      const manifest = manifestOf(body, type);
      if (manifest.kind === 'index') choose(manifest.manifests, { os: 'linux' });
    };
    const type = fc.option(fc.constantFrom(...Object.values(types), 'text/html; x'), { nil: undefined });
    fc.assert(
      fc.property(bytes, type, (body, told) => orUnreadable(() => act(body, told))),
      runs,
    );
  });

  it('configs', () => {
    fc.assert(
      fc.property(bytes, (body) => orUnreadable(() => versionIn(body))),
      runs,
    );
  });

  it('challenges', () => {
    const part = fc.constantFrom('Bearer', 'Basic', ' ', ',', '=', '"', '\\', 'realm', 'https://x/', 'a');
    const header = fc.oneof(
      fc.string(),
      fc.array(part, { maxLength: 30 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(header, (text) => {
        expect(['basic', 'bearer', undefined]).toContain(challengeOf(text)?.scheme);
      }),
      runs,
    );
  });

  it('names of images', () => {
    const part = fc.constantFrom('a', 'b.c', ':', '/', '@', 'sha256:', '..', '%', '[', ']', '5000', ' ', '?');
    const name = fc.oneof(
      fc.string(),
      fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(name, (image) =>
        orUnreadable(() => {
          const { host, repository, reference } = placeOf(image);
          expect(new URL(`https://${host}/v2/${repository}/manifests/${reference}`).pathname).toBe(
            `/v2/${repository}/manifests/${reference}`,
          );
        }),
      ),
      runs,
    );
  });

  it.each([
    '[..]/airflow',
    '[:::]:80/airflow',
    'host.example:99999/airflow',
    'registry.1/airflow',
    '1.2.3.999/airflow',
  ])('a host that the grammar lets pass and no URL holds: %s', (image) => {
    expect(() => placeOf(image)).toThrow(Unreadable);
  });

  it('pull secrets', () => {
    const secret = fc.record({
      type: fc.constantFrom('kubernetes.io/dockerconfigjson', 'kubernetes.io/dockercfg', 'Opaque'),
      data: fc.dictionary(fc.constantFrom('.dockerconfigjson', '.dockercfg'), bytes.map(String)),
    });
    fc.assert(
      fc.property(fc.array(secret, { maxLength: 3 }), (secrets) => {
        expect(credentialsFor('reg.example/airflow:1', secrets).faults.join('')).not.toContain('dTpw');
      }),
      runs,
    );
  });
});
