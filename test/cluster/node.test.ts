import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeAbsence } from './build/packages.ts';
import { type NodeCluster, startNode } from './node/node.ts';
import { tracesOf } from './node/traces.ts';
import { orphanedCluster } from './orphaned.ts';
import { run } from './run/command.ts';
import { clearLeftovers } from './run/leftovers.ts';
import { freePorts } from './run/ports.ts';
import { waitFor } from './run/wait.ts';

// The first run on a machine builds the programs and the images.
const BUILD = 60 * 60_000;

const database = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'database', labels: { app: 'database' } },
  spec: {
    containers: [
      {
        name: 'postgres',
        image: 'postgres:15',
        env: Object.entries({ POSTGRES_USER: 'af', POSTGRES_PASSWORD: 'secret', POSTGRES_FSYNC: 'off' }).map(
          ([name, value]) => ({ name, value }),
        ),
        readinessProbe: { exec: { command: ['pg_isready', '-h', '127.0.0.1', '-U', 'af'] }, periodSeconds: 1 },
      },
    ],
  },
};

describe.skipIf(nodeAbsence())('a node', () => {
  let cluster: NodeCluster;
  const kubectl = async (...args: string[]) =>
    (await run('kubectl', args, { env: cluster.env, timeoutMs: 120_000 })).stdout;

  beforeAll(async () => {
    cluster = await startNode({ purpose: 'node.test', images: ['postgres'] });
  }, BUILD);
  afterAll(async () => {
    await cluster?.stop();
    if (cluster) expect(await tracesOf(cluster.id)).toEqual([]);
  }, 120_000);

  it('is Ready', async () => {
    expect(await kubectl('get', 'nodes', '--no-headers')).toMatch(/^node +Ready .*v1\.34\.4\n$/);
  });

  it('runs a database that another pod reaches by the name of its Service', async () => {
    await run('kubectl', ['apply', '-f', '-'], { env: cluster.env, input: JSON.stringify(database) });
    await kubectl('expose', 'pod', 'database', '--port=5432');
    await kubectl('wait', '--for=condition=Ready', 'pod/database', '--timeout=90s');
    const query = ['psql', '-h', 'database', '-U', 'af', '-Atc', 'select 40 + 2'];
    await kubectl('run', 'client', '--image=postgres:15', '--restart=Never', '--env=PGPASSWORD=secret', '--', ...query);
    await kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/client', '--timeout=60s');
    expect(await kubectl('logs', 'client')).toBe('42\n');
  }, 180_000);

  it('answers exec, with the exit code', async () => {
    expect(await kubectl('exec', 'database', '--', 'cat', '/etc/debian_version')).toMatch(/^12\./);
    await expect(kubectl('exec', 'database', '--', 'sh', '-c', 'exit 3')).rejects.toThrow('exit 3');
  });

  it('shows logs', async () => {
    expect(await kubectl('logs', 'database')).toContain('database system is ready to accept connections');
  });

  it('forwards a port', async () => {
    const [port] = await freePorts(1);
    const forward = spawn('kubectl', ['port-forward', 'pod/database', `${port}:5432`], { env: cluster.env });
    const ended = once(forward, 'exit');
    try {
      const answer = await waitFor('an answer through the forwarded port', 20_000, async () => await askThrough(port!));
      expect(answer).toBe(42);
    } finally {
      forward.kill();
      await ended;
    }
  }, 40_000);

  it('that a dead process left is cleared, containers and all, and none else', async () => {
    const id = await orphanedCluster('node');
    expect(await tracesOf(id)).not.toEqual([]);
    await clearLeftovers();
    expect(await tracesOf(id)).toEqual([]);
    expect(await kubectl('exec', 'database', '--', 'true')).toBe('');
  }, 240_000);
});

async function askThrough(port: number): Promise<number> {
  const login = { user: 'af', password: 'secret', database: 'af' };
  const client = new Client({ host: '127.0.0.1', port, ...login, connectionTimeoutMillis: 5000, query_timeout: 5000 });
  try {
    await client.connect();
    return (await client.query('select 6 * 7 as answer')).rows[0].answer;
  } finally {
    await client.end();
  }
}

if (nodeAbsence())
  describe('without what a node needs', () => {
    it('says what is missing', async () => {
      await expect(startNode()).rejects.toThrow(nodeAbsence());
    });
  });
