/**
 * downdraft's server in a process of its own, as in its container: the whole product is loaded, the real judging answers,
 * and what it asks of the cluster is answered from memory.
 *
 * usage: downdraft.ts PORT FOLDER-OF-CERTIFICATES [URL of a real database, read for every review]
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { buildServer } from '../../src/admission/server.ts';
// Every replica has loaded these, whether it leads or not.
import '../../src/wiring/admission.ts';
import '../../src/wiring/controller.ts';
import { readTogether } from '../../src/wiring/database.ts';
import { settingsAt } from '../database/settings.ts';
import { leaveWithParent } from './child.ts';
import { benchPorts } from './world.ts';

const [port, folder, url] = process.argv.slice(2) as [string, string, string | undefined];
const settings = url === undefined ? undefined : settingsAt(url);
const ports = benchPorts(settings && (() => readTogether(settings, 2400)));
const read = (name: string) => readFileSync(join(folder, name));
const app = buildServer(ports, {
  logger: pino({ level: 'info', base: { instance: 'bench' } }),
  tls: { cert: read('tls.crt'), key: read('tls.key') },
});
await app.listen({ port: Number(port), host: '127.0.0.1' });
leaveWithParent(() => process.exit());
