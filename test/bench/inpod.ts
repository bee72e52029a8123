/**
 * The product as its pod starts it. Where its service account's folder is can't be chosen, and writing there takes root,
 * so here it is read from another one. Of names only that of the tests' database is known.
 *
 * usage: inpod.ts FOLDER
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { nameDatabase } from '../loop/names.ts';
import { leaveWithParent } from './child.ts';

const mounted = '/var/run/secrets/kubernetes.io/serviceaccount';
const [folder = ''] = process.argv.slice(2);
const { readFileSync } = fs;
fs.readFileSync = ((path: string, ...rest: [BufferEncoding]) =>
  readFileSync(
    String(path).startsWith(mounted) ? folder + String(path).slice(mounted.length) : path,
    ...rest,
  )) as never;
nameDatabase({ alone: true });
syncBuiltinESMExports();
leaveWithParent(() => process.exit());
await import('../../src/main.ts');
