/**
 * The images' registry: `crane registry serve` over `<cache>/registry`.
 *
 * crane keeps blobs on disk, by content, but manifests only in memory. So the manifests of finished images lie in the
 * cache (images.ts) and are put into every registry that starts; the blobs are shared by all of them.
 */

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { askPlain } from '../plane/ask.ts';
import { cacheDir } from '../run/cache.ts';
import { type Daemon, startDaemon } from '../run/folder.ts';
import { waitFor } from '../run/wait.ts';

/** A manifest as a registry keeps it. */
export interface Manifest {
  type: string;
  body: string;
}

/** The blobs' folder; the registry's names in it are its own. */
function registryDir(): string {
  return join(cacheDir(), 'registry');
}

/** Starts a registry for the cluster in `dir`; `probe` is the address under which it must answer from here. */
export async function startRegistry(
  dir: string,
  bin: string,
  options: { listen: string; probe: string; enter?: string[] },
): Promise<Daemon> {
  await mkdir(registryDir(), { recursive: true });
  const { listen, probe, enter = [] } = options;
  const command = [join(bin, 'crane'), 'registry', 'serve', '--address', listen, '--disk', registryDir()];
  const daemon = await startDaemon(dir, 'registry', [...enter, ...command]);
  await waitFor('the registry', 30_000, async () => {
    await daemon.check();
    return (await askPlain(`http://${probe}/v2/`)).status === 200;
  });
  return daemon;
}

/** Reads a manifest from a registry; throws when it has none of that name. */
export async function readManifest(host: string, repository: string, tag: string): Promise<Manifest> {
  const answer = await askPlain(`http://${host}/v2/${repository}/manifests/${tag}`);
  if (answer.status !== 200) throw new Error(`${host} has no ${repository}:${tag} (${answer.status} ${answer.body})`);
  return { type: (JSON.parse(answer.body) as { mediaType: string }).mediaType, body: answer.body };
}

/**
 * Puts a manifest into a registry. A repository without a folder is put under `library/`, too, which is what
 * a plain `postgres:15` means to containerd.
 */
export async function putManifest(host: string, repository: string, tag: string, manifest: Manifest): Promise<void> {
  const repositories = repository.includes('/') ? [repository] : [repository, `library/${repository}`];
  for (const name of repositories) {
    const url = `http://${host}/v2/${name}/manifests/${tag}`;
    const answer = await askPlain(url, { method: 'PUT', body: manifest.body, type: manifest.type });
    if (answer.status !== 201) throw new Error(`PUT ${url}: ${answer.status} ${answer.body}`);
  }
}

/** Whether all blobs that a manifest names are there. */
export function isWhole(manifest: Manifest): boolean {
  const { config, layers } = JSON.parse(manifest.body) as { config: Blob; layers: Blob[] };
  return [config, ...layers].every(({ digest }) => existsSync(join(registryDir(), digest.replace(':', '/'))));
}

interface Blob {
  digest: string;
}
