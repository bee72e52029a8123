import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { generate } from 'selfsigned';

/** Where the certificates and keys of a cluster lie. */
export interface Pki {
  caCert: string;
  caKey: string;
  apiCert: string;
  apiKey: string;
  adminCert: string;
  adminKey: string;
  serviceAccountKey: string;
}

/**
 * Makes a cluster's certificates (valid for a year) in `<dir>/pki`; the API server answers under all `names`
 * (DNS names and addresses), the admin is in system:masters.
 */
export async function makePki(dir: string, names: string[]): Promise<Pki> {
  const folder = join(dir, 'pki');
  await mkdir(folder, { mode: 0o700 });
  const write = async (name: string, content: string) => {
    await writeFile(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  const ca = await authority();
  const api = await signed(ca, 'kube-apiserver', undefined, names);
  const admin = await signed(ca, 'admin', 'system:masters', ['admin']);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    caCert: await write('ca.crt', ca.cert),
    caKey: await write('ca.key', ca.key),
    apiCert: await write('api.crt', api.cert),
    apiKey: await write('api.key', api.key),
    adminCert: await write('admin.crt', admin.cert),
    adminKey: await write('admin.key', admin.key),
    serviceAccountKey: await write('sa.key', privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()),
  };
}

interface Pair {
  cert: string;
  key: string;
}

async function authority(): Promise<Pair> {
  const made = await generate([{ name: 'commonName', value: 'downdraft-test-ca' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
    ],
  });
  return { cert: made.cert, key: made.private };
}

async function signed(ca: Pair, commonName: string, organization: string | undefined, names: string[]): Promise<Pair> {
  const subject = [{ name: 'commonName', value: commonName }];
  if (organization) subject.unshift({ name: 'organizationName', value: organization });
  const made = await generate(subject, {
    keyType: 'ec',
    algorithm: 'sha256',
    ca,
    extensions: [
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      {
        name: 'subjectAltName',
        altNames: names.map((name) => (isIP(name) ? { type: 7, ip: name } : { type: 2, value: name })),
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}
