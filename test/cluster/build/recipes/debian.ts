import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir } from '../../run/cache.ts';
import { run } from '../../run/command.ts';

/** What has no use in an image that nothing is installed into; `dev` is filled by the container runtime. */
export const useless = [
  './dev/*',
  './var/cache/apt/*.bin',
  './var/cache/apt/archives/*.deb',
  './var/lib/apt/lists/*',
  './var/log/*',
  './usr/share/doc/*',
  './usr/share/man/*',
  './usr/share/locale/*',
];

/** A Debian 12 root folder with these packages, and the users that images need. Takes about 30 s. */
export async function makeDebian(root: string, packages: string[]): Promise<void> {
  const debs = join(cacheDir(), 'debs');
  await mkdir(debs, { recursive: true });
  await run(
    'debootstrap',
    ['--variant=minbase', `--cache-dir=${debs}`, `--include=${packages.join(',')}`, 'bookworm', root, await mirror()],
    { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeoutMs: 900_000 },
  );
  // The official Airflow image's user.
  await appendFile(join(root, 'etc/passwd'), 'airflow:x:50000:0:airflow:/home/airflow:/bin/bash\n');
}

/** The mirror that this machine's own apt uses. */
async function mirror(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(SITE) $(CODENAME)', 'Created-By: Packages'], {
    env: process.env,
  });
  const site = stdout
    .split('\n')
    .find((line) => line.endsWith(' bookworm'))
    ?.split(' ')[0];
  if (!site) throw new Error("apt's sources on this machine have no Debian 12 (bookworm) to make the base image from");
  return site;
}
