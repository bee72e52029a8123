/** In a Pod: address and files as kubelet gives them; the client library is not even loaded. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ofPod } from '../../src/cluster/client/credentials.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-account-'));
  await writeFile(join(folder, 'token'), 'first\n');
  await writeFile(join(folder, 'ca.crt'), 'PEM');
  await writeFile(join(folder, 'namespace'), 'downdraft');
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

describe('the service account of a Pod', () => {
  it.each([
    ['an IPv4 address', '10.96.0.1', '443', 'https://10.96.0.1:443'],
    ['an IPv6 address', 'fd00::1', '6443', 'https://[fd00::1]:6443'],
  ])('finds the API server at %s', (_, host, port, server) => {
    const env = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port };
    expect(ofPod(env, folder)).toMatchObject({ server, namespace: 'downdraft', proxied: false });
  });

  it('sends the token and trusts the CA, and reads a token anew that kubelet has replaced', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const account = ofPod({ KUBERNETES_SERVICE_HOST: '10.96.0.1' }, folder);
      const told = async () => {
        const options: { headers: Record<string, string>; secureContext?: unknown } = { headers: { Accept: 'x' } };
        await account.apply(options);
        return options;
      };
      const secureContext = expect.anything();
      const first = await told();
      expect(first).toEqual({ ca: 'PEM', secureContext, headers: { Accept: 'x', Authorization: 'Bearer first' } });
      await writeFile(join(folder, 'token'), 'second');
      expect((await told()).headers).toMatchObject({ Authorization: 'Bearer first' });
      vi.advanceTimersByTime(61_000);
      const second = await told();
      expect(second.headers).toMatchObject({ Authorization: 'Bearer second' });
      expect(second.secureContext, 'of the same CA').toBe(first.secureContext);
      await writeFile(join(folder, 'ca.crt'), 'another PEM');
      vi.advanceTimersByTime(61_000);
      expect((await told()).secureContext).not.toBe(first.secureContext);
    } finally {
      vi.useRealTimers();
    }
  });

  it('without its files says which one is missing', () => {
    expect(() => ofPod({ KUBERNETES_SERVICE_HOST: '10.96.0.1' }, join(folder, 'none'))).toThrow(/none\/token/);
  });
});

it('is told without loading the client library, which takes more memory than all the rest', async () => {
  const program = `const { registerHooks } = await import('node:module');
    registerHooks({ resolve: (name, context, next) => (console.log(name), next(name, context)) });
    await import('./src/cluster/client/client.ts');
    const { ofPod } = await import('./src/cluster/client/credentials.ts');
    ofPod({ KUBERNETES_SERVICE_HOST: '10.96.0.1' }, ${JSON.stringify(folder)});`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  expect(stdout).toContain('./credentials.ts');
  expect(stdout).not.toContain('client-node');
});
