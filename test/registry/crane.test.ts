/** A registry and images that others wrote: crane's, in the open and behind TLS with a login. */
import { get as ask } from 'node:http';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { readImage } from '../../src/registry/read.ts';
import { ensureBinaries } from '../cluster/build/binaries.ts';
import { askPlain } from '../cluster/plane/ask.ts';
import { run } from '../cluster/run/command.ts';
import { type Daemon, deleteClusterFolder, makeClusterFolder, startDaemon } from '../cluster/run/folder.ts';
import { clearLeftovers } from '../cluster/run/leftovers.ts';
import { freePorts } from '../cluster/run/ports.ts';
import { waitFor } from '../cluster/run/wait.ts';
import { read, start } from './reading.ts';
import { type Registry, refuse } from './registry.ts';

let crane: string;
let dir: string;
let host: string;

beforeAll(async () => {
  crane = join(await ensureBinaries(), 'crane');
  await clearLeftovers();
  ({ dir } = await makeClusterFolder('reading images', false));
  const [port] = await freePorts(1);
  host = `127.0.0.1:${port}`;
  const daemon = await startDaemon(dir, 'registry', [crane, 'registry', 'serve', '--address', host]);
  await waitFor('the registry', 10_000, async () => (await askPlain(`http://${host}/v2/`)).status === 200);
  await push();
  return async () => await end(daemon);
}, 900_000);

async function end(daemon: Daemon): Promise<void> {
  await daemon.end();
  await deleteClusterFolder(dir);
}

/** One image for each of two platforms, an OCI index and a Docker list of both. */
async function push(): Promise<void> {
  const layer = join(dir, 'layer.tar');
  await run('tar', ['-cf', layer, '-T', '/dev/null']);
  for (const [kind, flags] of Object.entries({ oci: ['--oci-empty-base'], docker: [] })) {
    const parts = { amd64: '3.1.8', arm64: '3.2.0rc1' };
    for (const [architecture, version] of Object.entries(parts)) {
      const target = `${host}/team/airflow:${kind}-${architecture}`;
      await run(crane, ['append', ...flags, '-f', layer, '-t', target]);
      const labels = ['-l', `org.apache.airflow.version=${version}`, '-l', 'org.opencontainers.image.version=77'];
      const env = ['-e', `AIRFLOW_VERSION=${version}`];
      const platform = ['--set-platform', `linux/${architecture}`];
      await run(crane, ['mutate', ...labels, ...env, ...platform, '-t', target, target]);
    }
    const manifests = Object.keys(parts).flatMap((part) => ['-m', `${host}/team/airflow:${kind}-${part}`]);
    const empty = kind === 'docker' ? ['--docker-empty-base'] : [];
    await run(crane, ['index', 'append', ...empty, ...manifests, '-t', `${host}/team/airflow:${kind}`]);
  }
}

async function digestOf(name: string): Promise<string> {
  return (await run(crane, ['digest', `${host}/${name}`])).stdout.trim();
}

describe("crane's registry", () => {
  it.each([
    ['oci', undefined, '3.1.8'],
    ['docker', undefined, '3.1.8'],
    ['oci', 'arm64', '3.2.0rc1'],
    ['docker', 'arm64', '3.2.0rc1'],
    ['oci-arm64', undefined, '3.2.0rc1'],
    ['docker-amd64', undefined, '3.1.8'],
  ])('%s for %s: %s, by tag and by the digest that crane tells', async (tag, architecture, version) => {
    const digest = await digestOf(`team/airflow:${tag}`);
    const platform = { os: 'linux', architecture };
    const options = { credentials: [], timeoutMs: 5000, insecureHosts: [host], platform };
    for (const name of [`:${tag}`, `@${digest}`, `:nothing@${digest}`])
      expect(await readImage(`${host}/team/airflow${name}`, options)).toEqual({ version, from: 'label', digest });
  });

  it('behind TLS and Basic: with the pull secret, and not without it', async () => {
    const door = await guard('u:p');
    const digest = await digestOf('team/airflow:oci');
    expect(await read(door, 'team/airflow:oci', ['u:p'])).toEqual({ version: '3.1.8', from: 'label', digest });
    expect(await read(door, 'team/airflow:oci')).toMatchObject({ unknown: expect.stringContaining('wants a login') });
    expect(await read(door, 'team/airflow:none', ['u:p'])).toMatchObject({ unknown: expect.stringContaining('(404)') });
  });
});

/** A door of TLS and Basic in front of crane's registry, which has none of its own. */
async function guard(login: string): Promise<Registry> {
  const door = await start({ scheme: 'basic' });
  const expected = `Basic ${btoa(login)}`;
  door.answers['/v2/*'] = ({ url, headers }, response) => {
    const { authorization, accept } = headers;
    if (authorization !== expected) refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="x"' });
    else {
      const asked = ask(`http://${host}${url}`, { headers: { accept }, agent: false }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      asked.on('error', () => response.destroy());
      onTestFinished(() => void asked.destroy());
    }
  };
  return door;
}
