import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { certificatesIn, issue, needsRenewal, renew } from '../../certs/authority.ts';

const now = new Date('2026-11-21T12:00:00Z');
const day = 24 * 3600 * 1000;
const later = (days: number) => new Date(now.getTime() + days * day);
const names = { serviceName: 'downdraft', namespace: 'guard', hosts: ['127.0.0.1', 'localhost'] };

/** openssl verify, with the CA bundle as it would be in a webhook configuration. Returns what it says. */
async function verify(bundle: string, leaf: string, at: Date): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-certs-'));
  try {
    await writeFile(join(folder, 'ca.crt'), bundle);
    await writeFile(join(folder, 'tls.crt'), leaf);
    const seconds = String(Math.round(at.getTime() / 1000));
    const args = ['verify', '-attime', seconds, '-purpose', 'sslserver', '-verify_hostname', 'downdraft.guard.svc'];
    const { stdout } = await promisify(execFile)('openssl', [...args, '-CAfile', 'ca.crt', 'tls.crt'], { cwd: folder });
    return stdout.trim();
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('issued certificates', () => {
  it('are EC P-256 and SHA-256, in the eyes of openssl', async () => {
    const { ca, leaf } = await issue({ ...names, now });
    for (const pem of [ca.cert, leaf.cert]) {
      const running = promisify(execFile)('openssl', ['x509', '-noout', '-text']);
      running.child.stdin?.end(pem);
      const { stdout } = await running;
      expect(stdout).toContain('ecdsa-with-SHA256');
      expect(stdout).toContain('ASN1 OID: prime256v1');
      expect(stdout).not.toMatch(/sha1\b/i);
    }
  });

  it('last 10 years and 1 year', async () => {
    const { ca, leaf } = await issue({ ...names, now });
    expect(new X509Certificate(ca.cert).validToDate).toEqual(later(3650));
    expect(new X509Certificate(leaf.cert).validToDate).toEqual(later(365));
  });

  it('are for the Service and the extra hosts, and no CA but the CA', async () => {
    const { ca, leaf } = await issue({ ...names, now });
    const served = new X509Certificate(leaf.cert);
    expect(served.subjectAltName).toBe(
      'DNS:downdraft.guard.svc, DNS:downdraft.guard.svc.cluster.local, IP Address:127.0.0.1, DNS:localhost',
    );
    expect([new X509Certificate(ca.cert).ca, served.ca]).toEqual([true, false]);
    expect(served.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });
});

describe('renewal', () => {
  it('is due 60 days before the end', async () => {
    const { leaf } = await issue({ ...names, now });
    expect(needsRenewal(leaf.cert, later(304))).toBe(false);
    expect(needsRenewal(leaf.cert, later(306))).toBe(true);
  });

  it('changes nothing while nothing is due', async () => {
    const have = await issue({ ...names, now });
    expect(await renew(have, { ...names, now: later(300) })).toBe(have);
  });

  it('of a leaf keeps the CA', async () => {
    const have = await issue({ ...names, now });
    const next = await renew(have, { ...names, now: later(310) });
    expect(next.ca).toBe(have.ca);
    expect(next.leaf.cert).not.toBe(have.leaf.cert);
    expect(next.leaf.key).not.toBe(have.leaf.key);
    expect(await verify(have.ca.cert, next.leaf.cert, later(311))).toBe('tls.crt: OK');
  });

  it('makes a new leaf when it is for other names', async () => {
    const have = await issue({ ...names, now });
    const next = await renew(have, { ...names, hosts: ['10.0.0.1'], now });
    expect(next.ca).toBe(have.ca);
    expect(new X509Certificate(next.leaf.cert).checkIP('10.0.0.1')).toBe('10.0.0.1');
  });

  it('of a CA stands beside the old one, and the leaf goes over later', async () => {
    let have = await issue({ ...names, now });
    // Year by year, as it really goes: the leaf is fresh when the CA's last year begins.
    for (let days = 300; days <= 3280; days += 300) have = await renew(have, { ...names, now: later(days) });
    const both = await renew(have, { ...names, now: later(3300) });
    expect(certificatesIn(both.ca.cert)).toHaveLength(2);
    expect(both.leaf).toBe(have.leaf);
    expect(await verify(both.ca.cert, both.leaf.cert, later(3300))).toBe('tls.crt: OK');
    const over = await renew(both, { ...names, now: later(3650 - 30) });
    expect(over.ca).toBe(both.ca);
    expect(await verify(certificatesIn(both.ca.cert)[0]!, over.leaf.cert, later(3650 - 29))).toBe('tls.crt: OK');
    expect(await verify(both.ca.cert, over.leaf.cert, later(3650 + 100))).toBe('tls.crt: OK');
  });

  it.each([
    ['the leaf is of another CA', 'leaf.cert'],
    ['the key does not fit', 'leaf.key'],
    ["the CA's key does not fit", 'ca.key'],
  ])('starts afresh when %s', async (_, part) => {
    const have = structuredClone(await issue({ ...names, now }));
    const other = await issue({ ...names, now });
    const [pair, field] = part.split('.') as ['leaf' | 'ca', 'cert' | 'key'];
    have[pair][field] = other[pair][field];
    const next = await renew(have, { ...names, now });
    expect(next.ca.cert).not.toBe(have.ca.cert);
    expect(await verify(next.ca.cert, next.leaf.cert, later(1))).toBe('tls.crt: OK');
  });

  it('starts afresh when there is only rubbish, and after everything has ended', async () => {
    const rubbish = { ca: { cert: 'x', key: 'y' }, leaf: { cert: '', key: '' } };
    expect((await renew(rubbish, { ...names, now })).leaf.cert).toContain('BEGIN CERTIFICATE');
    const next = await renew(await issue({ ...names, now }), { ...names, now: later(4000) });
    expect(certificatesIn(next.ca.cert)).toHaveLength(1);
    expect(await verify(next.ca.cert, next.leaf.cert, later(4001))).toBe('tls.crt: OK');
  });
});
