/** How the pods of ours are told: by their main container, in time, and without secrets. */
import { describe, expect, it } from 'vitest';
import { mainContainers } from '../../src/release/airflow/charts.ts';
import type { PodObject } from '../../src/release/model/kubernetes.ts';
import { label } from '../../src/release/model/kubernetes.ts';
import type { World } from '../make/world-parts.ts';
import { deploy, goOn, isDone, look, newer, older, running, shown, until } from './place.ts';

const helper = (world: World, role: 'probe' | 'runner') =>
  world.pods.find((p) => p.metadata.labels?.[label.role] === role);

/** A kubelet that says this of each new pod of ours with that role. */
function saying(world: World, role: 'probe' | 'runner', status: (pod: PodObject) => PodObject['status']): void {
  const tick = world.tick;
  world.tick = () => {
    tick();
    const pod = helper(world, role);
    if (pod) pod.status = status(pod);
  };
}

const minutes = (world: World, count: number) => {
  world.now = new Date(world.now.getTime() + count * 60_000);
};

async function begun(
  role: 'probe' | 'runner',
  status: (world: World, pod: PodObject) => PodObject['status'],
): Promise<World> {
  const world = running(newer);
  saying(world, role, (pod) => status(world, pod));
  await deploy(world, older);
  await until(world, () => helper(world, role)?.status !== undefined);
  await goOn(world, 3);
  return world;
}

describe("what becomes of a mesh's proxy beside the main container means nothing", () => {
  it('the probe has answered though the proxy goes on, and its own log is read', async () => {
    const world = running(newer);
    const read: string[] = [];
    const podLog = world.reads.podLog;
    const reads = {
      ...world.reads,
      podLog: async (of: string, pod: string, container: string, previous?: boolean) => {
        read.push(container);
        return podLog(of, pod, container, previous);
      },
    };
    const tick = world.tick;
    world.tick = () => {
      tick();
      for (const pod of world.pods.filter((p) => p.metadata.labels?.['app.kubernetes.io/managed-by'] === 'downdraft')) {
        if (pod.spec.containers[0]!.name !== 'istio-proxy')
          pod.spec.containers.unshift({ name: 'istio-proxy', image: 'istio/proxyv2' });
        const [main, ...others] = pod.status?.containerStatuses ?? [];
        if (main && others.length === 0)
          pod.status = {
            ...pod.status,
            phase: 'Running',
            containerStatuses: [{ name: 'istio-proxy', state: { running: {} } }, main],
          };
      }
    };
    await deploy(world, older);
    await until(world, isDone(world), { reads });
    expect(shown(world)).toMatchObject({ phase: 'Done' });
    expect([...new Set(read)].every((name) => mainContainers.has(name))).toBe(true);
  });
});

describe('patience while nothing is touched', () => {
  const creating = { waiting: { reason: 'ContainerCreating' } };

  it('a probe that does not start is told with its newest warning, and goes on by itself', async () => {
    const world = await begun('probe', (_, pod) => ({
      phase: 'Pending',
      containerStatuses: [{ name: pod.spec.containers[0]!.name, state: creating }],
    }));
    expect(shown(world)).toMatchObject({ reason: 'ProbeRunning' });
    const { name, uid } = helper(world, 'probe')!.metadata;
    world.warnings[uid!] =
      'FailedMount: MountVolume.SetUp failed for volume "x" : configmap "gone" not found; token=abcdefgh1';
    minutes(world, 6);
    await look(world);
    expect(shown(world)).toMatchObject({ reason: 'TargetImageNotStarted' });
    expect(shown(world).message).toMatch(
      new RegExp(
        `^pod/${name} was made 5 min ago or more and has not started: FailedMount: .*configmap "gone" not found; token=\\*\\*\\*; correct that, or delete the pod`,
      ),
    );
    await goOn(world, 30);
    expect(helper(world, 'probe')!.metadata.uid).toBe(uid);
  });

  it('one of which no event tells is told all the same', async () => {
    const world = await begun('probe', () => ({ phase: 'Pending' }));
    minutes(world, 7);
    await look(world);
    expect(shown(world).message).toMatch(
      /was made 5 min ago or more and has not started: no event says why \(kubectl -n air describe pod/,
    );
  });

  it('a probe that never answers is told', async () => {
    const startedAt = '2026-11-21T12:00:05Z';
    const world = await begun('probe', (_, pod) => ({
      phase: 'Running',
      containerStatuses: [{ name: pod.spec.containers[0]!.name, state: { running: { startedAt } } }],
    }));
    expect(shown(world)).toMatchObject({ reason: 'ProbeRunning' });
    minutes(world, 9);
    await look(world);
    expect(shown(world)).toMatchObject({ reason: 'TargetImageNotStarted' });
    expect(shown(world).message).toMatch(
      /has not answered for apache\/airflow:3\.1\.8: does its import of Airflow hang\?; it started 5 min ago or more/,
    );
  });

  it('a runner whose volume does not come is told, and no runner is ended for it', async () => {
    const world = await begun('runner', (_, pod) => ({
      phase: 'Pending',
      containerStatuses: [{ name: pod.spec.containers[0]!.name, state: creating }],
    }));
    const { uid } = helper(world, 'runner')!.metadata;
    world.warnings[uid!] = 'FailedAttachVolume: Multi-Attach error for volume "pvc-1"';
    minutes(world, 6);
    await goOn(world, 25);
    expect(shown(world)).toMatchObject({
      reason: 'RunnerNotStarted',
      message: expect.stringMatching(/Multi-Attach error/),
    });
    expect(helper(world, 'runner')!.metadata.uid).toBe(uid);
    // In an hour it is said a few times, not each minute.
    for (let i = 0; i < 60; i++) {
      minutes(world, 1);
      await look(world);
    }
    expect(helper(world, 'runner')!.metadata.uid).toBe(uid);
    expect(world.events.filter(({ reason }) => reason === 'RunnerNotStarted').length).toBeLessThan(8);
  });

  it.each(['Copy', 'OldPod'] as const)('a runner that does not get through its import: %s', async (runner) => {
    const world = running(newer);
    const reads = { ...world.reads, runnerFiles: async () => [undefined, undefined, undefined, '1'] };
    const startedAt = '2026-11-21T12:00:05Z';
    const tick = world.tick;
    world.tick = () => {
      tick();
      for (const { status } of world.pods)
        for (const one of status?.containerStatuses ?? [])
          if (one.state?.running) one.state.running.startedAt = startedAt;
    };
    await deploy(world, older);
    await until(world, () => shown(world).reason === 'RunnerStarting', { reads, runner });
    minutes(world, 8);
    await look(world, { reads, runner });
    // How long an old pod has run says nothing of the runner in it.
    expect(shown(world).reason).toBe(runner === 'Copy' ? 'RunnerNotStarted' : 'RunnerStarting');
    if (runner === 'Copy')
      expect(shown(world).message).toMatch(/is importing Airflow.*; it started 5 min ago or more and has not answered/);
  });
});

it.each<[string, PodObject['status'], RegExp]>([
  [
    'how a container ended',
    {
      phase: 'Failed',
      containerStatuses: [
        {
          name: 'api-server',
          state: {
            terminated: {
              exitCode: 1,
              reason: 'Error',
              message: `can't connect to postgresql://airflow:S3cret@db:5432x/air ${'x '.repeat(2000)}`,
            },
          },
        },
      ],
    },
    /ended: Error with exit code 1: can't connect to postgresql:\/\/airflow:\*\*\*@db/,
  ],
  [
    'why one waits',
    {
      phase: 'Pending',
      containerStatuses: [
        {
          name: 'api-server',
          state: { waiting: { reason: 'CreateContainerConfigError', message: 'password=hunter22 is wrong' } },
        },
      ],
    },
    /CreateContainerConfigError: password=\*\*\* is wrong/,
  ],
  [
    'why one waits, for a reason that a newer kubelet has',
    {
      phase: 'Pending',
      containerStatuses: [
        { name: 'api-server', state: { waiting: { reason: 'SignatureValidationFailed', message: 'no signature' } } },
      ],
    },
    /SignatureValidationFailed: no signature/,
  ],
  [
    'which sidecar does not stay up',
    {
      phase: 'Pending',
      initContainerStatuses: [
        { name: 'cloud-sql-proxy', state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } } },
      ],
    },
    /\(container cloud-sql-proxy\): CrashLoopBackOff: back-off/,
  ],
])("strangers' words are shown without secrets, in short: %s", async (_, status, words) => {
  const world = await begun('runner', () => status);
  const { message = '' } = shown(world) as { message?: string };
  expect(message).toMatch(words);
  expect(message).not.toMatch(/S3cret|hunter22/);
  expect(message.length).toBeLessThan(700);
});
