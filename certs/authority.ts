/**
 * Certificates, without any I/O: a CA of our own (10 years) and the serving certificate that it signs (1 year), both
 * EC P-256 and SHA-256.
 *
 * `ca.crt` holds the CA in use first and behind it those that came before and are still valid. It is the caBundle: a new CA
 * is in the bundle long before anything that it signed is served, so a rotation is never seen by the API server.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

const day = 24 * 3600 * 1000;
const caDays = 3650;
const leafDays = 365;
/** A leaf is renewed this long before its end, a CA gets its successor this long before its own. */
const leafMarginDays = 60;
const caMarginDays = 365;
/** Clocks of API servers may be behind ours. */
const clockSkew = 3600 * 1000;

export interface Pair {
  cert: string;
  key: string;
}

/** Who the serving certificate is for: the Service's names, and further host names or addresses. */
export interface Names {
  serviceName: string;
  namespace: string;
  hosts?: readonly string[];
}

/** The CA's `cert` is the whole bundle, newest first; `key` belongs to the first. */
export interface Certificates {
  ca: Pair;
  leaf: Pair;
}

/** Makes a CA and a leaf. */
export async function issue(wanted: Names & { now: Date }): Promise<Certificates> {
  const ca = await issueAuthority(wanted.now);
  return { ca, leaf: await issueLeaf(ca, wanted, wanted.now) };
}

/** True from 60 days before the end of a serving certificate on. */
export function needsRenewal(leafCert: string, now: Date): boolean {
  return endOf(leafCert) - now.getTime() < leafMarginDays * day;
}

/**
 * The certificates as they should be now: the same object when nothing is due. A successor of the CA is only added to the
 * bundle; the leaf goes over to it when the leaf is due itself. What can't be read, doesn't belong together, or is for
 * other names is made anew.
 */
export async function renew(have: Certificates | undefined, wanted: Names & { now: Date }): Promise<Certificates> {
  const { now } = wanted;
  if (!have || !isUsable(have)) return issue(wanted);
  const [newest = '', ...older] = certificatesIn(have.ca.cert);
  if (endOf(newest) <= now.getTime()) return issue(wanted);
  if (endOf(newest) - now.getTime() < caMarginDays * day) {
    const successor = await issueAuthority(now);
    const valid = [newest, ...older].filter((cert) => endOf(cert) > now.getTime());
    const ca = { cert: [successor.cert, ...valid].join('\n'), key: successor.key };
    const dead = endOf(have.leaf.cert) <= now.getTime();
    return { ca, leaf: dead ? await issueLeaf(ca, wanted, now) : have.leaf };
  }
  if (!needsRenewal(have.leaf.cert, now) && isFor(have.leaf.cert, wanted)) return have;
  return { ca: have.ca, leaf: await issueLeaf(have.ca, wanted, now) };
}

/** The certificates of a PEM text, in order. */
export function certificatesIn(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

async function issueAuthority(now: Date): Promise<Pair> {
  // The date tells CAs apart: two of the same name in one bundle would leave verifiers to guess.
  const made = await generate([{ name: 'commonName', value: `downdraft-ca-${now.toISOString().slice(0, 10)}` }], {
    ...common(now, caDays),
    extensions: [
      { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { cert: made.cert.trim(), key: made.private };
}

async function issueLeaf(ca: Pair, wanted: Names, now: Date): Promise<Pair> {
  const [newest = ''] = certificatesIn(ca.cert);
  const options = common(now, leafDays);
  const made = await generate([{ name: 'commonName', value: `${wanted.serviceName}.${wanted.namespace}.svc` }], {
    ...options,
    notAfterDate: new Date(Math.min(options.notAfterDate.getTime(), endOf(newest))),
    ca: { cert: newest, key: ca.key },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: namesOf(wanted).map((name) => (isIP(name) ? { type: 7, ip: name } : { type: 2, value: name })),
      },
    ],
  });
  return { cert: made.cert.trim(), key: made.private };
}

/** Loaded when something is due, once a year: loading it takes some 6 MiB that no replica has for anything else. */
async function generate(...wanted: Parameters<typeof import('selfsigned')['generate']>) {
  return await (await import('selfsigned')).generate(...wanted);
}

/** The algorithm is named because the library's own default is SHA-1. */
function common(now: Date, days: number) {
  return {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(now.getTime() - clockSkew),
    notAfterDate: new Date(now.getTime() + days * day),
  } as const;
}

/** An API server asks for <service>.<namespace>.svc. */
function namesOf({ serviceName, namespace, hosts = [] }: Names): string[] {
  const name = `${serviceName}.${namespace}.svc`;
  return [name, `${name}.cluster.local`, ...hosts];
}

function endOf(cert: string): number {
  return new X509Certificate(cert).validToDate.getTime();
}

function isFor(leafCert: string, wanted: Names): boolean {
  const leaf = new X509Certificate(leafCert);
  return namesOf(wanted).every((name) => (isIP(name) ? leaf.checkIP(name) : leaf.checkHost(name)) !== undefined);
}

/** Every part can be read, each key fits its certificate, and a CA of the bundle has signed the leaf. */
function isUsable({ ca, leaf }: Certificates): boolean {
  try {
    const authorities = certificatesIn(ca.cert).map((cert) => new X509Certificate(cert));
    const served = new X509Certificate(leaf.cert);
    const signed = authorities.some((a) => served.checkIssued(a) && served.verify(a.publicKey));
    return signed && fits(authorities[0], ca.key) && fits(served, leaf.key);
  } catch {
    return false;
  }
}

function fits(certificate: X509Certificate | undefined, key: string): boolean {
  return certificate?.checkPrivateKey(createPrivateKey(key)) ?? false;
}
