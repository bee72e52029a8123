/** What the stand-in for the runner does to whole databases: as src/inside/downdraft/backup/copy.py and returning.py, without their checks. */
import pg from 'pg';
import { runnerName } from '../../src/database/sessions.ts';
import { waitFor } from '../cluster/run/wait.ts';

interface Order {
  name?: string;
  run?: string;
  aside?: string;
}

/** Commented when it is whole, as src/inside/downdraft/backup/copy.py does; done already is fine. */
export async function copyDatabase(url: string, { name = '', run = '' }: Order): Promise<void> {
  await onServer(url, async (server, own) => {
    const [made] = (await server.query(commentSql, [name])).rows;
    if (made?.comment === run) return;
    if (made) await server.query(`drop database "${name}"`);
    await server.query(`create database "${name}" template "${own}"`);
    await server.query(`comment on database "${name}" is '${run}'`);
  });
}

export async function takeCopyBack(url: string, { name = '', aside = '' }: Order): Promise<void> {
  await onServer(url, async (server, own) => {
    if ((await server.query(commentSql, [aside])).rows.length > 0) return;
    await server.query(
      `begin; alter database "${own}" rename to "${aside}"; alter database "${name}" rename to "${own}"; commit`,
    );
  });
}

const commentSql = `select shobj_description(oid, 'pg_database') as comment from pg_database where datname = $1`;

/** A database can only be copied and renamed by somebody who is in another one, while nobody is in it. */
async function onServer(url: string, act: (server: pg.Client, own: string) => Promise<void>): Promise<void> {
  const at = new URL(url);
  const own = at.pathname.slice(1);
  at.pathname = '/postgres';
  const server = await open(at.href);
  const busy = (error: unknown) => error instanceof pg.DatabaseError && error.code === '55006';
  try {
    // The controller's own looks are short, but there are many.
    await waitFor(`nobody in ${own}`, 30_000, async () => {
      try {
        await act(server, own);
        return true;
      } catch (error) {
        await server.query('rollback');
        if (!busy(error)) throw error;
        return false;
      }
    });
  } finally {
    await server.end();
  }
}

/** A connection that is told from the controller's own by its name. */
export async function open(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: runnerName,
    connectionTimeoutMillis: 10_000,
    query_timeout: 20_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
