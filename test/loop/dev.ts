/**
 * npm run dev: downdraft from these sources, beside the cluster of your kubeconfig and with the rights of its own account.
 * What it needs there is applied first, with webhooks that name this machine; they are taken away at the end, since
 * without an answer Airflow's workloads could not be changed.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connect } from '../../src/cluster/client/client.ts';
import { run } from '../cluster/run/command.ts';
import { accountKinds, ownToken } from './account.ts';
import { applyManifests } from './manifests.ts';

const help = `npm run dev                      run downdraft from the sources beside the cluster of your kubeconfig
npm run dev -- --context NAME    another context of it
npm run dev -- --host ADDRESS    by which the API server reaches this machine (default: 127.0.0.1, one on this machine)
npm run dev -- --port NUMBER     (default: 8443)

A cluster of your own on this machine: npm run cluster -- up --no-node. Ctrl-C ends it; a change of a file starts it anew.
Settings are those of the README in manifests/, from the environment. A debugger: see .vscode/launch.json.
`;

const configurations = ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'];

interface Kubeconfig {
  clusters: object[];
  users: { name: string; user: object }[];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h' },
      context: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '8443' },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-dev-'));
  try {
    return await beside(folder, values.context, `${values.host}:${values.port}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function beside(folder: string, context: string | undefined, address: string): Promise<number> {
  const chosen = context ? ['--context', context] : [];
  const view = ['config', 'view', '--minify', '--raw', '--flatten', '-o', 'json', ...chosen];
  const { stdout } = await run('kubectl', view, { env: process.env });
  const [admin, own] = [join(folder, 'admin'), join(folder, 'own')];
  await writeFile(admin, stdout, { mode: 0o600 });
  const env = { ...process.env, KUBECONFIG: admin };
  const kubectl = (...args: string[]) => run('kubectl', args, { env });

  const installed = await kubectl('get', 'deployments', '-n', 'downdraft', '-o', 'name');
  if (installed.stdout.trim() !== '') throw new Error('downdraft is installed in this cluster: two would disagree');
  const client = connect({ kubeconfig: admin });
  await applyManifests(client, { env }, ['Namespace', 'CustomResourceDefinition', ...accountKinds]);
  await writeFile(own, JSON.stringify(as(JSON.parse(stdout), await ownToken(client, 'downdraft'))), { mode: 0o600 });
  const url = `https://${address}`;
  const kinds = ['MutatingWebhook', 'ValidatingWebhook'].map((kind) => `${kind}Configuration`);
  const policies = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];
  // From now on a signal ends what runs, and then the webhooks go: without an answer no workload of Airflow could be changed.
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort(signal));
  try {
    await applyManifests(client, { env }, [...kinds, ...policies], { url });
    return await started(ending.signal, {
      DOWNDRAFT_KUBECONFIG: own,
      DOWNDRAFT_WEBHOOK_URL: url,
      DOWNDRAFT_PORT: new URL(url).port,
      DOWNDRAFT_CERT_HOSTS: new URL(url).hostname,
    });
  } finally {
    client.close();
    await kubectl('delete', configurations.join(), '-l', 'app.kubernetes.io/part-of=downdraft');
  }
}

/** The same cluster, as somebody with this token. */
function as(config: Kubeconfig, token: string): Kubeconfig {
  return { ...config, users: config.users.map(({ name }) => ({ name, user: { token } })) };
}

/** Runs it until somebody ends it; answers its exit code. */
async function started(ending: AbortSignal, settings: Record<string, string>): Promise<number> {
  if (ending.aborted) return 0;
  const args = ['--watch-path=src', '--watch-path=certs', '--watch-preserve-output', 'src/main.ts'];
  const child = spawn(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...settings } });
  ending.addEventListener('abort', () => child.kill(ending.reason));
  return await new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve(code ?? 0));
  });
}

process.exitCode = await main().catch((error: Error) => {
  console.error(error.message);
  return 1;
});
