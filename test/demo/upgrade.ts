/** The main job: helm upgrade to 3.1.8, and what downdraft does until Airflow 3.1.8 serves. */

import { waitFor } from '../cluster/run/wait.ts';
import { chart, example, headsOf, type Place, untilServes } from '../stories/place.ts';
import { note } from './diary.ts';
import { type Found, namespaces, release, type Site, versions } from './site.ts';
import { type Show, watchUntil } from './watching.ts';

const TOO_LONG_MS = 900_000;

/** What a person would type, from the project's folder. */
export function commandOf({ values }: Site): string {
  const sets = ['--set', `airflowVersion=${versions.older}`, ...values];
  return ['helm upgrade', release, 'manifests/example', '-n', namespaces.airflow, ...sets].join(' ');
}

/** Runs helm and watches to the end. Throws when helm fails, downdraft does not end, or Airflow does not serve. */
export async function goBack(site: Site, found: Found, show: Show, signal: AbortSignal): Promise<void> {
  const { place, values } = site;
  found.before = await headsOf(place, namespaces.airflow, release);
  found.told = { before: await toldBy(place) };
  const lines: string[] = [];
  const failed = new AbortController();
  let answered = false;
  const upgrade = async () => {
    const args = ['upgrade', release, chart, '-n', namespaces.airflow, '--timeout', '15m'];
    const onLine = (line: string) => {
      if (!lines.includes(line)) note(`helm: ${line}`);
      lines.push(line);
    };
    found.helm = await place.helm([...args, ...example(versions.older, ...values)], { timeoutMs: TOO_LONG_MS, onLine });
    answered = true;
    if (!found.helm.ok) failed.abort(`helm upgrade failed: ${found.helm.stderr}`);
  };
  const running = upgrade();
  const seen = await watchUntil(site, `the downgrade to ${versions.older}`, {
    timeoutMs: TOO_LONG_MS,
    helm: lines,
    show,
    signal: AbortSignal.any([signal, failed.signal]),
    isOver: ({ downgrade }) => answered && Boolean(downgrade?.status?.record?.completedAt),
  });
  await running;
  await untilServes(place, namespaces.airflow, release, versions.older);
  found.downgrade = seen.downgrade;
  found.after = await headsOf(place, namespaces.airflow, release);
  found.told.after = await toldBy(place);
}

/** The version that Airflow's API server tells, asked through the cluster's own. */
async function toldBy(place: Place): Promise<string> {
  const service = `${release}-api-server:8080`;
  const path = `/api/v1/namespaces/${namespaces.airflow}/services/${service}/proxy/api/v2/version`;
  return await waitFor(
    "an answer of Airflow's API",
    60_000,
    async () => {
      const said = await place.kubectl(['get', '--raw', path, '--request-timeout=20s']);
      if (!said.ok) throw new Error(said.stderr);
      return (JSON.parse(said.stdout) as { version: string }).version;
    },
    1000,
  );
}
