import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tracesOf } from './node/traces.ts';
import { orphanedCluster } from './orphaned.ts';
import { type ControlPlane, startControlPlane } from './plane/controlplane.ts';
import { cacheDir, cached } from './run/cache.ts';
import { run } from './run/command.ts';
import { clearLeftovers, listClusters } from './run/leftovers.ts';
import { takeLock, tryLock } from './run/lock.ts';
import { identify } from './run/proc.ts';

// The first run on a machine builds the programs.
const BUILD = 45 * 60_000;

describe('a control plane', () => {
  let plane: ControlPlane;
  const kubectl = async (...args: string[]) => (await run('kubectl', args, { env: plane.env })).stdout;

  beforeAll(async () => {
    plane = await startControlPlane({ purpose: 'cluster.test' });
  }, BUILD);
  afterAll(async () => await plane?.stop(), 60_000);

  it('answers kubectl and helm of known versions', async () => {
    const { clientVersion, serverVersion } = JSON.parse(await kubectl('version', '-o', 'json'));
    expect([clientVersion.gitVersion, serverVersion.gitVersion]).toEqual(['v1.34.4', 'v1.34.4']);
    expect((await run('helm', ['version', '--short'], { env: plane.env })).stdout).toMatch(/^v3\.19\.2/);
    expect((await run('helm', ['list'], { env: plane.env })).stdout).toContain('NAME');
  });

  it('makes the pods that a Deployment asks for', async () => {
    await kubectl('create', 'deployment', 'web', '--image=web:1', '--replicas=2');
    // Those that are there, as the ReplicaSet counts them; unavailable are also those that are not made yet.
    const replicas = 'jsonpath={.status.replicas}=2';
    await kubectl('wait', 'deployment/web', `--for=${replicas}`, '--timeout=30s');
    expect((await kubectl('get', 'pods', '-o', 'name')).trim().split('\n')).toHaveLength(2);
  }, 60_000);

  it('keeps its data and its port when the API server starts anew', async () => {
    await kubectl('create', 'namespace', 'before');
    await plane.restartApiServer();
    expect(await kubectl('get', 'namespace', 'before', '-o', 'name')).toBe('namespace/before\n');
  }, 60_000);

  it('stands beside another one, which leaves no trace when it stops', async () => {
    const other = await startControlPlane({ purpose: 'cluster.test, second' });
    expect(other.server).not.toBe(plane.server);
    const uid = ['get', 'namespace', 'kube-system', '-o', 'jsonpath={.metadata.uid}'];
    expect((await run('kubectl', uid, { env: other.env })).stdout).not.toBe(await kubectl(...uid));
    expect(await tracesOf(other.id)).not.toEqual([]);
    await other.stop();
    expect(await tracesOf(other.id)).toEqual([]);
  }, 120_000);

  it('that a dead process left is cleared, and none else', async () => {
    const id = await orphanedCluster('plane');
    await clearLeftovers();
    expect(await tracesOf(id)).toEqual([]);
    expect((await listClusters()).map((cluster) => cluster.id)).toContain(plane.id);
    expect(await kubectl('get', '--raw', '/readyz')).toBe('ok');
  }, 120_000);
});

describe('the cache', () => {
  it('makes an entry once, whoever asks at the same time, and nothing of one that failed', async () => {
    const key = `once-${process.pid}`;
    let made = 0;
    const make = async () => {
      made += 1;
    };
    const failing = cached('test', key, async () => await Promise.reject(new Error('no flour')));
    await expect(failing).rejects.toThrow('no flour');
    const entries = await Promise.all([cached('test', key, make), cached('test', key, make)]);
    expect(made).toBe(1);
    expect(new Set(entries).size).toBe(1);
    expect((await readdir(join(cacheDir(), 'tmp'))).filter((name) => name.startsWith(`test-${process.pid}`))).toEqual(
      [],
    );
    await rm(entries[0]!, { recursive: true });
  });
});

describe('a lock', () => {
  it('is had by one at a time, and taken over from a dead owner', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'downdraft-lock-'));
    const path = join(folder, 'lock');
    const first = await takeLock(path);
    expect(await tryLock(path)).toBeUndefined();
    await first.release();
    const second = await takeLock(path);
    // The number of a living process, but the start of another one.
    await second.handTo({ ...(await identify(process.pid))!, start: '1' });
    const rivals = await Promise.all([tryLock(path), tryLock(path), tryLock(path)]);
    expect(rivals.filter((lock) => lock !== undefined)).toHaveLength(1);
    expect(existsSync(path)).toBe(true);
    await rm(folder, { recursive: true });
  });
});
