/** From settings to whose reviews are taken. */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Callers } from '../admission/intake/callers.ts';
import { type Config, ConfigError } from '../config.ts';

/** Whose reviews are taken, where that is set. Throws ConfigError. */
export async function callersOf({ clientCa, clientNames }: Config): Promise<Callers | undefined> {
  if (clientCa === undefined) return undefined;
  try {
    const ca = await readFile(clientCa, 'utf8');
    createSecureContext({ ca });
    if (!ca.includes('-----BEGIN CERTIFICATE-----')) throw new Error('it holds no PEM certificate');
    return { ca, names: clientNames };
  } catch (error) {
    throw new ConfigError(`DOWNDRAFT_CLIENT_CA is "${clientCa}", which can't be used: ${(error as Error).message}`);
  }
}
