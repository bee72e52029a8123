/** The databases' own client programs for tests, Debian's, in a folder for a PATH; nothing is installed. */
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, contentKey, type Progress } from '../cluster/run/cache.ts';
import { programIn, unpacked, type Wanted } from './unpacked.ts';

/** Debian 12's of PostgreSQL are older than the server of the tests, which they refuse. */
export type Clients = 'newest' | 'older' | 'mysql' | 'mariadb';

const postgres = ['pg_dump', 'pg_restore', 'psql'];
const wanted: Record<Clients, Wanted & { programs: string[] }> = {
  newest: { suite: 'sid', packages: ['postgresql-client'], programs: postgres },
  older: { suite: 'bookworm', packages: ['postgresql-client-15'], programs: postgres },
  mysql: { suite: 'sid', packages: ['mysql-server-core', 'mysql-client-core'], programs: ['mysqldump', 'mysql'] },
  mariadb: { suite: 'bookworm', packages: ['mariadb-client'], programs: ['mariadb-dump', 'mariadb'] },
};

/** The folder with dump, restore and client (30 s on first use). Throws what apt says where they can't be had. */
export async function clientPrograms(clients: Clients, onProgress?: Progress): Promise<string> {
  const { programs, ...packages } = wanted[clients];
  const root = await unpacked(packages, onProgress);
  const folder = programs === postgres ? await postgresFolder(root) : 'usr/bin';
  return await cached('clients', contentKey('1', root, folder, ...programs), async (dir) => {
    await mkdir(dir, { recursive: true });
    for (const program of programs) {
      const argv = programIn(root, join(folder, program)).map((word) => `'${word}'`);
      await writeFile(join(dir, program), `#!/bin/sh\nexec ${argv.join(' ')} "$@"\n`);
      await chmod(join(dir, program), 0o755);
    }
  });
}

async function postgresFolder(root: string): Promise<string> {
  const [version] = await readdir(join(root, 'usr/lib/postgresql'));
  return join('usr/lib/postgresql', version!, 'bin');
}
