/**
 * Whose word counts for a Downgrade (design 6), on a real API server with users of differing rights; and what the schema
 * itself takes and refuses, whoever writes it.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ControlPlane, startControlPlane } from '../cluster/plane/controlplane.ts';
import { run } from '../cluster/run/command.ts';
import { makePolicy, readableRules, unreadableRules } from '../make/policy.ts';

let plane: ControlPlane;

const hash = '0123456789ab';
const own = 'system:serviceaccount:downdraft:downdraft';

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
  resourceNames?: string[];
}

const on = (resource: string, verbs: string, ...resourceNames: string[]): Rule => ({
  apiGroups: [resource === 'pods' ? '' : resource === 'deployments' ? 'apps' : 'downdraft.dev'],
  resources: [resource],
  verbs: verbs.split(' '),
  ...(resourceNames.length > 0 ? { resourceNames } : {}),
});
const write = on('downgrades', 'get list create patch update delete');
const pods = on('pods', 'create');
const deployments = on('deployments', 'patch');

/** Each with a Role of their own in namespace air. */
const users: Record<string, Rule[]> = {
  writer: [write, on('downgrades/status', 'get patch')],
  podmaker: [write, pods],
  deployer: [write, deployments],
  planner: [write, pods, deployments],
  consenting: [write, pods, deployments, on('downgrades', 'approve')],
  aborting: [on('downgrades', 'get patch'), on('downgrades', 'abort')],
  ofone: [write, on('downgrades', 'approve abort', 'af-1')],
  wordless: [on('downgrades', 'approve abort')],
  elsewhere: [write],
  poduser: [on('pods', 'create get patch update delete')],
};

/** Undefined: carried out. Otherwise a part of what the user reads. */
type Answer = string | undefined;

/** kubectl as this user ('' is the administrator); what it says when it fails. */
async function kubectl(user: string, args: string[], object?: unknown): Promise<Answer> {
  const input = object === undefined ? {} : { input: JSON.stringify(object) };
  const as = user === '' ? [] : [`--as=${user}`, '--as-group=system:authenticated'];
  try {
    await run('kubectl', [...as, ...args], { env: plane.env, timeoutMs: 30_000, ...input });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function downgrade(name: string, spec: object = {}) {
  const metadata = { name, namespace: 'air' };
  const { apiVersion, kind } = { apiVersion: 'downdraft.dev/v1alpha1', kind: 'Downgrade' };
  return { apiVersion, kind, metadata, spec: { release: 'af', to: 'apache/airflow:3.1.8', ...spec } };
}

const dry = '--dry-run=server';
const create = async (user: string, spec?: object) =>
  await kubectl(user, ['create', dry, '-f', '-'], downgrade('new', spec));
const patch = async (user: string, name: string, spec: object, ...more: string[]) =>
  await kubectl(user, [...patching(name), ...more, '-p', JSON.stringify({ spec })]);
const patching = (name: string) => ['-n', 'air', 'patch', 'downgrade', name, '--type=merge'];
const status = async (user: string, name: string, value: object) =>
  await kubectl(user, [...patching(name), '--subresource=status', '-p', JSON.stringify({ status: value })]);

function answers(answer: Answer, expected: Answer): void {
  if (expected === undefined) expect(answer).toBeUndefined();
  else expect(answer).toContain(expected);
}

function grant(user: string, rules: Rule[]): object[] {
  const metadata = { name: user, namespace: 'air' };
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: user };
  return [
    { apiVersion, kind: 'Role', metadata, rules },
    { apiVersion, kind: 'RoleBinding', metadata, roleRef, subjects: [{ kind: 'User', name: user }] },
  ];
}

function approverIn(namespace: string, user: string): object {
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'downdraft-approver' };
  const metadata = { name: `${user}-approves`, namespace };
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  return { apiVersion, kind: 'RoleBinding', metadata, roleRef, subjects: [{ kind: 'User', name: user }] };
}

beforeAll(async () => {
  plane = await startControlPlane({ purpose: 'cluster-client consent' });
  const files = ['namespace', 'crds/downgrades', 'crds/downgradepolicies', 'rbac', 'consent', 'pods'];
  expect(await kubectl('', ['apply', ...files.flatMap((f) => ['-f', `manifests/${f}.yaml`])])).toBeUndefined();
  const namespaces = ['air', 'beta'].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  const rights = Object.entries(users).flatMap(([user, rules]) => grant(user, rules));
  const items = [...namespaces, ...rights, approverIn('air', 'approver'), approverIn('beta', 'elsewhere')];
  expect(await kubectl('', ['apply', '-f', '-'], { apiVersion: 'v1', kind: 'List', items })).toBeUndefined();
  await kubectl('', ['wait', '--for=condition=Established', 'crd/downgrades.downdraft.dev', '--timeout=30s']);
  // The policy is in force a moment after it is stored.
  await vi.waitFor(async () => expect(await create('writer')).toContain('may not make a Downgrade'), {
    timeout: 30_000,
  });
  await vi.waitFor(async () => expect(await kubectl('', ['apply', '-f', '-'], downgrade('af-1'))).toBeUndefined(), {
    timeout: 30_000,
  });
  expect(await kubectl('', ['apply', '-f', '-'], downgrade('af-2', { approved: hash }))).toBeUndefined();
}, 900_000);
afterAll(async () => await plane?.stop(), 60_000);

describe('making a Downgrade', () => {
  const rows: [string, string, object, Answer][] = [
    ['takes more than the right to write one', 'writer', {}, 'the right to create pods in namespace air'],
    ['takes the right to patch deployments', 'podmaker', {}, 'the right to patch deployments in namespace air'],
    ['takes the right to create pods', 'deployer', {}, 'the right to create pods in namespace air'],
    ['is done by who may do both', 'planner', {}, undefined],
    ["is done by downdraft's own account", own, {}, undefined],
    ['that is approved takes the verb approve', 'planner', { approved: hash }, 'planner may not approve'],
    [
      'that names a backup takes the verb approve',
      'planner',
      { backup: { reference: 'b' } },
      'planner may not approve',
    ],
    ['that waives the backup does', 'planner', { backup: { waivedBy: 'Ada' } }, 'planner may not approve'],
    ['with a date of expiry does', 'planner', { approvedUntil: '2026-11-22T00:00:00Z' }, 'planner may not approve'],
    ['that accepts rows that differ does', 'planner', { acceptRows: true }, 'planner may not approve'],
    ['that accepts none takes no verb', 'planner', { acceptRows: false }, undefined],
    ['with an empty backup names none', 'planner', { backup: {} }, undefined],
    ['that is approved is done with it', 'consenting', { approved: hash, backup: { reference: 'b' } }, undefined],
    ["that is approved is not downdraft's own", own, { approved: hash }, 'may not approve'],
    ['that is aborted takes the verb abort', 'consenting', { abort: true }, 'consenting may not abort'],
    ['that says abort: false takes none', 'planner', { abort: false }, undefined],
    ['takes RBAC first of all', 'approver', {}, 'cannot create resource "downgrades"'],
  ];
  it.each(rows)('%s', async (_, user, spec, answer) => answers(await create(user, spec), answer));

  it('by server-side apply is judged like any other', async () => {
    const apply = ['apply', dry, '--server-side', '-f', '-'];
    answers(await kubectl('writer', apply, downgrade('new')), 'the right to create pods');
    answers(await kubectl('planner', apply, downgrade('new', { approved: hash })), 'planner may not approve');
    answers(await kubectl('planner', apply, downgrade('new')), undefined);
  });

  it('under a generated name is judged like any other', async () => {
    const { metadata: _, ...rest } = downgrade('', { approved: hash });
    const object = { ...rest, metadata: { generateName: 'af-', namespace: 'air' } };
    answers(await kubectl('planner', ['create', dry, '-f', '-'], object), 'planner may not approve');
    answers(await kubectl('ofone', ['create', dry, '-f', '-'], object), 'the right to create pods');
    answers(await kubectl('consenting', ['create', dry, '-f', '-'], object), undefined);
  });
});

describe('changing a Downgrade', () => {
  const refused = 'needs the verb approve on downgrades.downdraft.dev in namespace air';
  const rows: [string, string, string, object, Answer][] = [
    ['to approve takes more than the right to write it', 'planner', 'af-1', { approved: hash }, refused],
    ['to approve is for who holds downdraft-approver there', 'approver', 'af-1', { approved: hash }, undefined],
    ['to approve is not for who holds it elsewhere', 'elsewhere', 'af-1', { approved: hash }, refused],
    ['to approve takes the right to write it, too', 'wordless', 'af-1', { approved: hash }, 'cannot get resource'],
    ['to approve can be for one alone', 'ofone', 'af-1', { approved: hash }, undefined],
    ['of another name is not', 'ofone', 'af-2', { approved: 'ffffffffffff' }, refused],
    ['to approve is not for who may only abort', 'aborting', 'af-1', { approved: hash }, refused],
    ['to another approval takes the verb', 'planner', 'af-2', { approved: 'ffffffffffff' }, refused],
    ['to take an approval back takes the verb', 'planner', 'af-2', { approved: null }, refused],
    ['to take an approval back is for who has it', 'approver', 'af-2', { approved: null }, undefined],
    ['to prolong an approval takes the verb', 'planner', 'af-2', { approvedUntil: '2030-01-01T00:00:00Z' }, refused],
    ['to name a backup takes the verb', 'planner', 'af-1', { backup: { reference: 'rds:x' } }, refused],
    ['to waive the backup takes the verb', 'planner', 'af-1', { backup: { waivedBy: 'Ada' } }, refused],
    ['to waive the backup is for who has it', 'approver', 'af-1', { backup: { waivedBy: 'Ada' } }, undefined],
    ['to accept rows takes the verb', 'planner', 'af-1', { acceptRows: true }, refused],
    ['to accept rows is for who has it', 'approver', 'af-1', { acceptRows: true }, undefined],
    ['to abort takes the verb abort', 'consenting', 'af-1', { abort: true }, 'consenting may not abort'],
    ['to abort is for who has it', 'aborting', 'af-1', { abort: true }, undefined],
    ['to abort is for who may approve by the ClusterRole', 'approver', 'af-1', { abort: true }, undefined],
    ['that says again what it says takes no verb', 'planner', 'af-2', { approved: hash }, undefined],
    ["is not downdraft's own", own, 'af-1', { approved: hash }, 'cannot patch resource'],
  ];
  it.each(rows)('%s', async (_, user, name, spec, answer) => answers(await patch(user, name, spec, dry), answer));

  it('by replace is judged like any other', async () => {
    const replace = (name: string, spec: object) =>
      kubectl('planner', ['replace', dry, '-f', '-'], downgrade(name, spec));
    answers(await replace('af-1', { approved: hash }), refused);
    answers(await replace('af-2', {}), refused);
    answers(await replace('af-2', { approved: hash }), undefined);
  });

  it('in its labels, its status, or by deleting it is nobody’s consent', async () => {
    answers(await kubectl('writer', ['-n', 'air', 'label', 'downgrade', 'af-2', 'a=b']), undefined);
    answers(await status('writer', 'af-2', { phase: 'AwaitingApproval' }), undefined);
    answers(await kubectl('writer', ['-n', 'air', 'delete', 'downgrade', 'af-2', dry]), undefined);
  });
});

describe('a pod with the labels of ours', () => {
  const refused = 'only downdraft itself makes or labels pods with downdraft.dev/role';
  const role = { 'downdraft.dev/role': 'probe', 'downdraft.dev/run': 'af-1' };
  const podOf = (name: string, labels: object) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'air', labels },
    spec: { containers: [{ name: 'base', image: 'busybox' }], automountServiceAccountToken: false },
  });
  beforeAll(async () => {
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'air' } };
    expect(await kubectl('', ['apply', '-f', '-'], account)).toBeUndefined();
    await vi.waitFor(
      async () => answers(await kubectl('poduser', ['create', dry, '-f', '-'], podOf('new', role)), refused),
      { timeout: 30_000 },
    );
    expect(await kubectl(own, ['create', '-f', '-'], podOf('ours', role))).toBeUndefined();
    expect(await kubectl('', ['create', '-f', '-'], podOf('theirs', { tier: 'airflow' }))).toBeUndefined();
  }, 90_000);

  it.each<[string, string, object, Answer]>([
    ['is made by downdraft’s own account', own, role, undefined],
    ['is made by nobody else, not by an administrator either', '', role, refused],
    ['is not made for another run either', 'poduser', { ...role, 'downdraft.dev/run': 'x' }, refused],
    ['is a matter of the role: others are anyone’s', 'poduser', { tier: 'airflow', release: 'af' }, undefined],
    ['is not what a release’s own label makes of it', 'poduser', { 'downdraft.dev/release': 'af' }, undefined],
  ])('%s', async (_, user, labels, answer) =>
    answers(await kubectl(user, ['create', dry, '-f', '-'], podOf('new', labels)), answer),
  );

  it.each<[string, string, string[], Answer]>([
    ['is not made of another one by a label', 'poduser', ['theirs', 'downdraft.dev/role=runner'], refused],
    ['is by downdraft, as an old pod that becomes the runner', own, ['theirs', 'downdraft.dev/role=runner'], undefined],
    ['does not become that of another run', 'poduser', ['ours', 'downdraft.dev/run=x', '--overwrite'], refused],
    ['keeps its role', 'poduser', ['ours', 'downdraft.dev/role-'], refused],
    ['is labelled otherwise as anyone likes', 'poduser', ['ours', 'team=data'], undefined],
  ])('%s', async (_, user, args, answer) =>
    answers(await kubectl(user, ['-n', 'air', 'label', dry, 'pod', ...args], undefined), answer),
  );

  it('may be deleted by who may delete pods', async () => {
    answers(await kubectl('poduser', ['-n', 'air', 'delete', dry, 'pod', 'ours']), undefined);
  });
});

describe('the schema of a Downgrade', () => {
  const rows: [string, object, Answer][] = [
    ['keeps the release', { release: 'other' }, "can't be changed to that of another release"],
    ['keeps the image', { to: 'x:1' }, "can't be changed to another image"],
    ['wants 12 hex digits', { approved: 'yes' }, 'spec.approved'],
    ['wants a date', { approved: hash, approvedUntil: 'tomorrow' }, 'spec.approvedUntil'],
    ['wants a boolean', { abort: 'yes' }, 'spec.abort'],
    ['wants one of two', { backup: { reference: 'a', waivedBy: 'b' } }, 'name a reference or who waives the backup'],
    ['wants a name', { backup: { waivedBy: '  ' } }, "a person's name"],
    ['wants the placeholder replaced', { backup: { reference: '<the backup>' } }, "put the backup's own name"],
    ['wants no novel', { backup: { reference: 'x'.repeat(513) } }, 'spec.backup.reference'],
    ['takes a reference', { backup: { reference: 'rds:af-before-3.2' } }, undefined],
    ['takes a name', { backup: { waivedBy: 'Ada Lovelace' } }, undefined],
    ['takes an approval with an end', { approved: hash, approvedUntil: '2026-11-22T08:00:00Z' }, undefined],
  ];
  it.each(rows)('%s', async (_, spec, answer) => answers(await patch('', 'af-1', spec, dry), answer));

  it('knows an abort for ever', async () => {
    expect(await kubectl('', ['apply', '-f', '-'], downgrade('af-3', { abort: true }))).toBeUndefined();
    for (const abort of [false, null]) answers(await patch('', 'af-3', { abort }), "an abort can't be undone");
    answers(await patch('', 'af-3', { approved: hash }), undefined);
  });

  it('refuses an approval of a plan that is another by now, and says which it is', async () => {
    expect(await kubectl('', ['apply', '-f', '-'], downgrade('af-4'))).toBeUndefined();
    expect(await status('', 'af-4', { planHash: 'aaaaaaaaaaaa' })).toBeUndefined();
    answers(await patch('', 'af-4', { approved: hash }), 'the plan is aaaaaaaaaaaa by now');
    answers(await patch('', 'af-4', { approved: 'aaaaaaaaaaaa' }), undefined);
    expect(await status('', 'af-4', { planHash: 'bbbbbbbbbbbb' })).toBeUndefined();
    answers(await patch('', 'af-4', { approvedUntil: '2030-01-01T00:00:00Z' }), undefined);
    const other = { approved: 'cccccccccccc', backup: { reference: 'rds:x' } };
    answers(await patch('', 'af-4', other), undefined);
    answers(await patch('', 'af-4', { ...other, approved: 'dddddddddddd' }), 'the plan is bbbbbbbbbbbb by now');
    answers(await patch('', 'af-4', { approved: null }), undefined);
  });

  it('keeps all that is shown', async () => {
    const backup = {
      way: 'ServerCopy',
      name: 'airflow_downdraft_1',
      verifiedAt: '2026-11-21T08:00:00Z',
      keepUntil: '2026-11-28T08:00:00Z',
      bytes: 5_000_000_000,
    };
    const shown = { approval: 'why', losses: ['a'], hazards: ['b'], estimateSeconds: 90, planHash: hash, backup };
    expect(await status('', 'af-1', shown)).toBeUndefined();
    const { stdout } = await run('kubectl', ['-n', 'air', 'get', 'downgrade', 'af-1', '-o', 'json'], {
      env: plane.env,
    });
    expect(JSON.parse(stdout).status).toEqual(shown);
  });
});

describe('the schema of a DowngradePolicy', () => {
  const tried = async (rules: object) =>
    await kubectl('', ['create', dry, '--validate=strict', '-f', '-'], makePolicy({ rules }));

  it.each(readableRules)('takes %s', async (_, rules) => expect(await tried(rules)).toBeUndefined());
  it.each(unreadableRules)('refuses %s, as faultOf does', async (_, part, fault) => {
    const [field] = /spec\.\w+(\.\w+)?/.exec(fault) ?? ['spec.backup.ways'];
    expect(await tried(part)).toContain(field);
  });
  it('refuses what it does not know', async () => {
    expect(await tried({ backup: { tape: 1 } })).toContain('unknown field "spec.backup.tape"');
  });
});
