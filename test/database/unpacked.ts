/**
 * Debian packages with all that they depend on, unpacked into a folder of the cache: programs of another Debian run from
 * there with their own dynamic linker, without root, and nothing is installed.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, contentKey, type Progress } from '../cluster/run/cache.ts';
import { run } from '../cluster/run/command.ts';

/** Which packages, of which of Debian's suites. */
export interface Wanted {
  suite: 'bookworm' | 'sid';
  packages: string[];
}

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const tenMinutes = { env: process.env, timeoutMs: 600_000 };

/**
 * The folder below which the packages lie (usr/sbin, usr/lib …), fetched on first use. sid moves: what was fetched once is
 * kept. Throws what apt says where they can't be had.
 */
export async function unpacked(wanted: Wanted, onProgress: Progress = () => {}): Promise<string> {
  const { suite, packages } = wanted;
  const fetch = async (dir: string) => {
    if (!existsSync('/usr/bin/apt-get')) throw new Error(`${packages[0]} can't be had: no apt-get here`);
    onProgress(`unpacking ${packages.join(', ')} of ${suite}`);
    const apt = join(dir, 'apt');
    await fetchWithDependencies(apt, wanted);
    const archives = join(apt, 'cache/archives');
    for (const file of await readdir(archives))
      if (file.endsWith('.deb')) await run('dpkg-deb', ['-x', join(archives, file), dir], tenMinutes);
    await rm(apt, { recursive: true });
  };
  return await cached('unpacked', contentKey('1', suite, process.arch, ...packages), fetch, onProgress);
}

/** With lists, state and sources of its own, and as if nothing were installed: so every dependency comes along. */
async function fetchWithDependencies(apt: string, { suite, packages }: Wanted): Promise<void> {
  for (const folder of ['state/lists/partial', 'cache/archives/partial'])
    await mkdir(join(apt, folder), { recursive: true });
  await writeFile(join(apt, 'status'), '');
  await writeFile(join(apt, 'sources.list'), `deb [signed-by=${keyring}] ${await mirror()} ${suite} main\n`);
  const own = Object.entries({
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State': join(apt, 'state'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': join(apt, 'cache'),
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'APT::Install-Recommends': 'false',
    // As root apt would fetch as a user of its own, who may not write to our folder.
    'APT::Sandbox::User': 'root',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await run('apt-get', [...own, 'update'], tenMinutes);
  await run('apt-get', [...own, 'install', '--yes', '--download-only', ...packages], tenMinutes);
}

/** Where this machine gets Debian's packages from, as its own sources say. */
async function mirror(): Promise<string> {
  const ask = ['indextargets', '--format', '$(REPO_URI)', 'Identifier: Packages', 'Codename: bookworm'];
  const first = async () => (await run('apt-get', ask, tenMinutes)).stdout.split('\n')[0]?.trim();
  // An image of a machine may have no package lists yet.
  const found = (await first()) || (await run('apt-get', ['update'], tenMinutes).then(first));
  if (!found) throw new Error('the package sources of this machine name no Debian 12');
  return found;
}

/** The argv that runs a program below `root` with the libraries below it, whatever this machine's own are. */
export function programIn(root: string, program: string): string[] {
  const kind = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const linker = kind === 'x86_64' ? 'ld-linux-x86-64.so.2' : 'ld-linux-aarch64.so.1';
  // Debian's libc stands in /lib up to 12, in /usr/lib after it.
  const places = [`lib64/${linker}`, `usr/lib64/${linker}`, `lib/${kind}-linux-gnu/${linker}`, `usr/lib/${linker}`];
  const found = places.map((place) => join(root, place)).find((place) => existsSync(place));
  if (!found) throw new Error(`no dynamic linker below ${root}`);
  const libraries = ['lib', 'usr/lib'].map((folder) => join(root, folder, `${kind}-linux-gnu`));
  return [found, '--library-path', libraries.join(':'), join(root, program)];
}
