/** A release in a Git repository, and the Application by which Argo CD brings it to a site. */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '../cluster/run/wait.ts';
import type { Version } from '../loop/images.ts';
import { chart, type Site, type ToolPlace } from './place.ts';
import { must } from './terminal.ts';

/** What a person sees of an Application, in the UI or by `kubectl get application`. */
export interface Seen {
  sync: string;
  health: string;
  operation?: { phase: string; message?: string; startedAt: string; syncResult?: { resources?: Result[] } };
  conditions: { type: string; message: string }[];
  resources: { kind: string; name: string; status?: string }[];
}

export interface Result {
  kind: string;
  name: string;
  status?: string;
  message?: string;
  hookPhase?: string;
}

interface ApplicationObject {
  status?: {
    sync?: { status: string; revision?: string };
    health?: { status: string };
    operationState?: Seen['operation'];
    conditions?: Seen['conditions'];
    resources?: Seen['resources'];
  };
}

/** How the release stands in Git: as the chart with a values file, or as plain manifests. */
export type Source = 'chart' | 'manifests';

/** A release in Git and the Application that brings it to the site. */
export interface Application {
  /** Commits the release of this version; `edit` changes the text of plain manifests. */
  commit(version: Version, edit?: (manifests: string) => string): Promise<void>;
  /** Asks for a comparison without what was kept of earlier ones, as "hard refresh" does; answers at once. */
  refresh(): Promise<void>;
  /** Asks for a sync, as the button does; answers at once. */
  sync(): Promise<void>;
  see(): Promise<Seen>;
  /** Waits until what is seen is so, and answers it; throws with what is seen instead. */
  until(what: string, is: (seen: Seen) => boolean): Promise<Seen>;
}

export interface ApplicationShape {
  source: Source;
  automated?: boolean;
  /** Values of the chart beside the site's. */
  values?: object;
  annotations?: Record<string, string>;
}

/** Makes the repository, with the release of this version in it, and the Application. */
export async function makeApplication(
  place: ToolPlace,
  site: Site,
  version: Version,
  { source, automated = false, values = {}, annotations = {} }: ApplicationShape,
): Promise<Application> {
  const { namespace: name } = site;
  const folder = join(place.folder, `git-${name}`);
  const git = async (...args: string[]) => must(await place.type('git', ['-C', folder, ...args], { env: author }));
  let revision = '';
  let created = false;
  const ask = async (refresh: 'normal' | 'hard') => {
    const asked = `argocd.argoproj.io/refresh=${refresh}`;
    must(await place.kubectl(['-n', 'argocd', 'annotate', 'application', name, asked, '--overwrite']));
  };
  const commit: Application['commit'] = async (wanted, edit = (text) => text) => {
    await write(place, site, { folder, source, values, version: wanted, edit });
    await git('add', '--all');
    await git('commit', '--quiet', '--message', `release ${wanted}`);
    revision = (await git('rev-parse', 'HEAD')).trim();
    if (created) await ask('normal');
  };
  await mkdir(folder);
  await git('init', '--quiet', '--initial-branch', 'main');
  await commit(version);
  const object = applicationOf(site, folder, { source, automated, annotations });
  must(await place.kubectl(['apply', '-f', '-'], { input: JSON.stringify(object) }));
  created = true;
  const see = () => seen(place, name);
  const until: Application['until'] = async (what, is) => {
    let last: Seen | undefined;
    try {
      return await waitFor(`${name}: ${what}`, 90_000, async () => {
        last = await see();
        return is(last) && last;
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}; instead: ${JSON.stringify(last)}`);
    }
  };
  const sync = async () => {
    // The commit itself: what the branch's name means is kept for a second.
    const operation = { initiatedBy: { username: 'a person' }, sync: { revision } };
    // As its server does: what an earlier operation has done would otherwise count for this one.
    const patch = JSON.stringify({ operation, status: { operationState: null } });
    must(await place.kubectl(['-n', 'argocd', 'patch', 'application', name, '--type=merge', '-p', patch]));
  };
  return { commit, refresh: () => ask('hard'), sync, see, until };
}

/** As often as Argo CD tries by itself, but sooner: it would wait 5, 10, 20, 40 and 80 s. */
const retry = { limit: 5, backoff: { duration: '2s', factor: 1 } };

/** The Application; automated ones heal themselves and prune. */
function applicationOf(
  { namespace: name }: Site,
  folder: string,
  { source, automated, annotations }: Pick<ApplicationShape, 'source' | 'automated' | 'annotations'>,
): object {
  const helm = source === 'chart' ? { helm: { releaseName: 'af', valueFiles: ['site.json'] } } : {};
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: { name, namespace: 'argocd', annotations },
    spec: {
      project: 'default',
      source: { repoURL: `file://${folder}`, path: 'release', targetRevision: 'main', ...helm },
      destination: { server: 'https://kubernetes.default.svc', namespace: name },
      ...(automated ? { syncPolicy: { automated: { selfHeal: true, prune: true }, retry } } : {}),
    },
  };
}

const author = Object.fromEntries(
  ['AUTHOR', 'COMMITTER'].flatMap((who) => [
    [`GIT_${who}_NAME`, 'a person'],
    [`GIT_${who}_EMAIL`, 'person@example.com'],
  ]),
);

interface Written {
  folder: string;
  source: Source;
  values: object;
  version: Version;
  edit(manifests: string): string;
}

async function write(place: ToolPlace, site: Site, { folder, source, values, version, edit }: Written): Promise<void> {
  const release = join(folder, 'release');
  await mkdir(release, { recursive: true });
  const file = join(release, source === 'chart' ? 'site.json' : '../site.json');
  await writeFile(file, JSON.stringify({ ...site.settings, ...values, airflowVersion: version }));
  if (source === 'chart') return cp(chart, release, { recursive: true });
  const args = ['template', 'af', chart, '-n', site.namespace, '-f', file];
  const text = (await place.type('helm', args)).stdout;
  await writeFile(join(release, 'release.yaml'), edit(text));
}

async function seen({ kubectl }: ToolPlace, name: string): Promise<Seen> {
  const object = JSON.parse(
    must(await kubectl(['-n', 'argocd', 'get', 'application', name, '-o', 'json'])),
  ) as ApplicationObject;
  const { sync, health, operationState, conditions = [], resources = [] } = object.status ?? {};
  return {
    sync: sync?.status ?? '',
    health: health?.status ?? '',
    ...(operationState ? { operation: operationState } : {}),
    conditions,
    resources,
  };
}
