/**
 * DowngradePolicies as people meet them in kubectl, and a release that comes in where nothing guards: what is found once
 * it is stored. Rows S0-20, S4-16.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../cluster/run/wait.ts';
import { imageOf } from '../loop/images.ts';
import { downgrades } from '../loop/release.ts';
import { newer, older } from './ends.ts';
import {
  all,
  chart,
  heldOf,
  makeSite,
  type Site,
  startTools,
  type ToolPlace,
  untilServes,
  workloadsOf,
} from './place.ts';
import { must, warningsIn } from './terminal.ts';

let place: ToolPlace;
let site: Site;

beforeAll(async () => {
  place = await startTools('tools: policy');
  site = await makeSite(place, 'policed', newer);
  must(await apply(newer));
  await untilServes(place, site, newer);
}, 180_000);

afterAll(async () => await place?.stop(), 60_000);

const kubectl = (...args: string[]) => place.kubectl(['-n', site.namespace, ...args]);

async function apply(version: typeof newer | typeof older) {
  const noJobs = ['--set', 'migrateDatabaseJob.enabled=false', '--set', 'createUserJob.enabled=false'];
  const args = ['template', 'af', chart, '-n', site.namespace, ...site.values(version, ...noJobs)];
  const { stdout: input } = await place.type('helm', args);
  return place.kubectl(['-n', site.namespace, 'apply', '-f', '-'], { input });
}

async function policy(name: string, mode: string, label: string): Promise<void> {
  const [key = '', value = ''] = label.split('=');
  const object = {
    apiVersion: 'downdraft.dev/v1alpha1',
    kind: 'DowngradePolicy',
    metadata: { name },
    spec: { mode, namespaceSelector: { matchLabels: { [key]: value } } },
  };
  must(await place.kubectl(['apply', '-f', '-'], { input: JSON.stringify(object) }));
}

const setScheduler = (...more: string[]) =>
  kubectl('set', 'image', 'deployment/af-scheduler', `*=${imageOf(site.registry, older)}`, ...more);

/** Asks by dry runs until the mirror has been told what the webhook is to answer. */
async function untilSaid(text: string): Promise<void> {
  await waitFor(`the webhook to say: ${text}`, 20_000, async () => {
    const { stdout, stderr } = await setScheduler('--dry-run=server');
    return (stdout + stderr).includes(text);
  });
}

describe('a DowngradePolicy', () => {
  it('Observe: the change passes, and the person reads what would have happened', async () => {
    must(await place.kubectl(['label', 'namespace', site.namespace, 'team=try']));
    await policy('try-out', 'Observe', 'team=try');
    await untilSaid('downdraft only observes here; it would hold');
    const said = await setScheduler('--dry-run=server');
    expect(said.code).toBe(0);
    expect(warningsIn(said).join()).toContain('it would hold deployment/af-scheduler: the database is at 3.2.x');
  });

  it('Deny wins over Observe where both match, in kubectl’s own error, and nothing is stored', async () => {
    must(await place.kubectl(['label', 'namespace', site.namespace, 'stage=production']));
    await policy('careful', 'Deny', 'stage=production');
    await untilSaid('DowngradePolicy careful forbids downgrades in namespace policed');
    const before = await workloadsOf(place, site);
    const said = await setScheduler();
    expect(said.code).not.toBe(0);
    expect(said.stderr).toContain('admission webhook "workloads.downdraft.dev" denied the request');
    const after = await workloadsOf(place, site);
    expect(after.map((w) => w.spec)).toEqual(before.map((w) => w.spec));
  });

  it('says in its status how many namespaces it matches, and which other policy counts there', async () => {
    const shown = await waitFor('both to be reported', 20_000, async () => {
      const { stdout } = await place.kubectl(['get', 'dgp']);
      return /try-out\s+Observe\s+1\s+careful/.test(stdout) && /careful\s+Deny\s+1\s+try-out/.test(stdout) && stdout;
    });
    expect(shown.split('\n')[0]).toMatch(/NAME\s+MODE\s+NAMESPACES\s+OVERLAPS\s+AGE/);
  });

  it('that is gone counts no longer: the change is held', async () => {
    must(await place.kubectl(['delete', 'dgp', 'careful', 'try-out']));
    await untilSaid('Warning: downdraft holds deployment/af-scheduler');
  });
});

it('S0-5: deleted and installed again as an older version: let in, found, held, and the run says what is missing', async () => {
  must(await kubectl('delete', ...all, '--wait', '--cascade=foreground'));
  await waitFor('all to be gone', 60_000, async () => (await workloadsOf(place, site)).length === 0);
  must(await apply(older));
  await waitFor('all four to be held', 60_000, async () => (await heldOf(place, site)).length === 4);
  const reason = await waitFor('the run to say why it waits', 60_000, async () => {
    const [run] = await downgrades(place.client, site.namespace);
    return run?.status?.reason === 'NoOldPod' && String(run.status.message);
  });
  expect(reason).toContain('is left to copy, and only that image has the reverse scripts');
});
