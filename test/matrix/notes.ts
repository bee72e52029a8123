/** Notes on a run and on a task, by Airflow's own REST API: no command writes them. */
import { compare } from '@renovatebot/pep440';
import type { Progress } from '../cluster/run/cache.ts';
import { waitFor } from '../cluster/run/wait.ts';
import type { Installation } from './installation.ts';

const dagRun = 'dags/matrix_works/dagRuns/first';
const task = `${dagRun}/taskInstances/pushes`;

/** Writes both notes; waits until the API answers. Throws with its answer when it does not take them. */
export async function addNotes(airflow: Installation, say: Progress): Promise<void> {
  const headers = await waitFor('the API to log in', 180_000, async () => {
    await airflow.check();
    return await login(airflow);
  });
  const is2 = compare(airflow.version, '3.0.0') < 0;
  const [base, suffix] = is2 ? ['/api/v1/', '/setNote'] : ['/api/v2/', ''];
  for (const [path, note] of [
    [dagRun, 'a note on a run'],
    [task, 'a note on a task'],
  ] as const) {
    await patch(`${airflow.api}${base}${path}${suffix}`, headers, { note });
  }
  say(`${airflow.version} took notes`);
}

async function login({ version, api }: Installation): Promise<Record<string, string>> {
  const basic = { Authorization: `Basic ${Buffer.from('matrix:matrix').toString('base64')}` };
  if (compare(version, '3.0.0') < 0) {
    const answer = await fetch(`${api}/health`, { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`health: ${answer.status}`);
    return basic;
  }
  const answer = await fetch(`${api}/auth/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username: 'matrix', password: 'matrix' }),
    signal: AbortSignal.timeout(20_000),
  });
  if (!answer.ok) throw new Error(`login: ${answer.status}`);
  const { access_token: token } = (await answer.json()) as { access_token: string };
  return { Authorization: `Bearer ${token}` };
}

async function patch(url: string, headers: Record<string, string>, body: unknown): Promise<void> {
  const answer = await fetch(url, {
    method: 'PATCH',
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${(await answer.text()).slice(0, 300)}`);
}
