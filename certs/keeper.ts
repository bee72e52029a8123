/**
 * Keeps the Secret `downdraft-certs` right, on every replica: read, renew what is due, write if something was, read again
 * if another replica was faster. Then whoever serves or publishes the certificates is told. There is no leader in this:
 * a webhook must be able to serve before a leader is elected.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Certificates, type Names, renew } from './authority.ts';

/** Text of the Secret's entries, decoded. */
export interface StoredSecret {
  data: Record<string, string>;
  resourceVersion: string;
}

export interface Ports {
  /** The Secret; undefined when there is none. */
  read(): Promise<StoredSecret | undefined>;
  /**
   * Creates the Secret (no resourceVersion), or replaces the one that was read. 'conflict': someone else was faster, or it
   * is there already.
   */
  write(data: Record<string, string>, resourceVersion: string | undefined): Promise<'written' | 'conflict'>;
  now(): Date;
}

/** What a server needs, and what the webhook configurations need. */
export interface Serving {
  cert: string;
  key: string;
  /** PEM in base64, as clientConfig.caBundle takes it. */
  caBundle: string;
}

export interface KeepOptions extends Names {
  /** How often the Secret is looked at; default one minute. */
  everyMs?: number;
  signal: AbortSignal;
  /** Called after the first time whenever something changed: `server.setSecureContext(serving)`, then the caBundle. */
  onChange(serving: Serving): void | Promise<void>;
  /** A look that failed; the next one comes. */
  onError(error: unknown): void;
}

/** Names of the entries in the Secret. */
const entries = { caCert: 'ca.crt', caKey: 'ca.key', cert: 'tls.crt', key: 'tls.key' } as const;

const tries = 5;

/**
 * Resolves with the first certificates and goes on keeping them until the signal. Throws only if the first look fails:
 * without certificates nothing can be served.
 */
export async function keepCertificates(ports: Ports, options: KeepOptions): Promise<Serving> {
  const first = await ensureCertificates(ports, options);
  void keepOn(ports, options, first);
  return first;
}

/** One look: what is in the Secret afterwards. Throws when ports fail or the Secret changes faster than it is read. */
export async function ensureCertificates(ports: Ports, names: Names): Promise<Serving> {
  for (let attempt = 1; attempt <= tries; attempt++) {
    const stored = await ports.read();
    const have = stored && certificatesOf(stored.data);
    const certificates = await renew(have, { ...names, now: ports.now() });
    if (certificates === have) return servingOf(have);
    const written = await ports.write(dataOf(certificates), stored?.resourceVersion);
    if (written === 'written') return servingOf(certificates);
  }
  throw new Error(`the Secret of the certificates was changed by others ${tries} times while it was being written`);
}

async function keepOn(ports: Ports, options: KeepOptions, first: Serving): Promise<void> {
  const { signal, everyMs = 60_000 } = options;
  let told = first;
  while (await pause(everyMs, signal)) {
    try {
      const serving = await ensureCertificates(ports, options);
      if (serving.cert === told.cert && serving.caBundle === told.caBundle) continue;
      await options.onChange(serving);
      told = serving;
    } catch (error) {
      options.onError(error);
    }
  }
}

/** True after the time, false when the signal came first. The timer keeps no process alive. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return delay(ms, true, { signal, ref: false }).catch(() => false);
}

function certificatesOf(data: Record<string, string>): Certificates | undefined {
  const [caCert, caKey, cert, key] = [data[entries.caCert], data[entries.caKey], data[entries.cert], data[entries.key]];
  if (!caCert || !caKey || !cert || !key) return undefined;
  return { ca: { cert: caCert, key: caKey }, leaf: { cert, key } };
}

function dataOf({ ca, leaf }: Certificates): Record<string, string> {
  return { [entries.caCert]: ca.cert, [entries.caKey]: ca.key, [entries.cert]: leaf.cert, [entries.key]: leaf.key };
}

function servingOf({ ca, leaf }: Certificates): Serving {
  return { cert: leaf.cert, key: leaf.key, caBundle: Buffer.from(ca.cert).toString('base64') };
}
