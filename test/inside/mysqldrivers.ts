/** The drivers with which Airflow reaches MySQL, beside an environment of Airflow and not in it. */
import { cp, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, contentKey, type Progress } from '../cluster/run/cache.ts';
import { run } from '../cluster/run/command.ts';
import { unpacked } from '../database/unpacked.ts';

// mysqlclient is what the official image has; Airflow makes an asynchronous engine with aiomysql. Needs no more of each.
const drivers = ['mysqlclient==2.2.7', 'PyMySQL==1.1.1', 'aiomysql==0.2.0'];

/**
 * The variables that give an Airflow whose bin folder this is its MySQL drivers: built on first use (7 s, needs a C
 * compiler). Throws what the package client or the compiler says.
 */
export async function mysqlDrivers(bin: string, onProgress: Progress = () => {}): Promise<NodeJS.ProcessEnv> {
  const library = await unpacked({ suite: 'bookworm', packages: ['libmariadb-dev'] }, onProgress);
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const libraries = join(library, 'usr/lib', triplet);
  const python = join(bin, 'python');
  const env = {
    ...process.env,
    MYSQLCLIENT_CFLAGS: `-I${join(library, 'usr/include/mariadb')}`,
    MYSQLCLIENT_LDFLAGS: `-L${libraries} -lmariadb -Wl,-rpath,$ORIGIN/..`,
  };
  // By the Python itself: all environments with the same one share them.
  const key = contentKey('3', await realpath(python), library, ...drivers);
  const folder = await cached('mysqldrivers', key, async (dir) => {
    onProgress(`building ${drivers[0]}`);
    // Not a wheel that was built before: it would look for the library where that build had it.
    const install = [
      '-m',
      'pip',
      '--python',
      python,
      'install',
      '--quiet',
      '--no-deps',
      '--no-cache-dir',
      '--target',
      dir,
    ];
    await run('python3', [...install, ...drivers], { env, timeoutMs: 300_000 });
    // Beside it and alone: the other libraries of that folder are not for this machine.
    await cp(join(libraries, 'libmariadb.so.3'), join(dir, 'libmariadb.so.3'));
  });
  return { PYTHONPATH: folder, MARIADB_PLUGIN_DIR: join(libraries, 'libmariadb3/plugin') };
}
