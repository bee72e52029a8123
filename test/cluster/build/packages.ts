import { existsSync, readFileSync } from 'node:fs';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDir, cached, contentKey, type Progress } from '../run/cache.ts';
import { run } from '../run/command.ts';
import { withLock } from '../run/lock.ts';

// Name: what for.
const packages = {
  containerd: 'runs the containers',
  runc: 'starts each container',
  'containernetworking-plugins': 'gives pods their addresses',
  iptables: 'kube-proxy makes Services with it',
  conntrack: 'kube-proxy forgets old connections with it',
  iproute2: 'network namespaces',
  'busybox-static': 'the pause image',
  debootstrap: 'the base image',
  buildah: 'builds the Dockerfile',
  zstd: 'packs image layers',
  tar: 'packs image layers',
  python3: "Airflow's environment is made for it",
  'python3-venv': 'brings pip for uv',
};

const UV = '0.13.9';
const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

/** Why a node can't run on this machine, in one line; undefined when it can. */
export function nodeAbsence(): string | undefined {
  if (process.platform !== 'linux') return 'a test node needs Linux (containers, network namespaces)';
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  if (!/^ID=debian$/m.test(release) || !/^VERSION_ID="12"$/m.test(release)) {
    return 'a test node needs Debian 12: its packages, and its Python 3.11 for the Airflow images';
  }
  if (process.getuid?.() !== 0) return 'a test node needs root (containers, network namespaces)';
  const status = readFileSync('/proc/self/status', 'utf8');
  const granted = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const lacks = [['CAP_NET_ADMIN', CAP_NET_ADMIN] as const, ['CAP_SYS_ADMIN', CAP_SYS_ADMIN] as const].filter(
    ([, bit]) => (granted & (1n << bit)) === 0n,
  );
  return lacks.length > 0 ? `a test node needs ${lacks.map(([name]) => name).join(' and ')}` : undefined;
}

/**
 * Installs the Debian packages that a node and its images need, as far as they are missing; no service is started.
 * Throws one error that names what is missing where it can't install.
 */
export async function ensurePackages(onProgress: Progress = () => {}): Promise<void> {
  const missing = await missingPackages();
  if (missing.length === 0) return;
  const absence = nodeAbsence();
  if (absence) throw new Error(`${absence}; missing packages: ${missing.join(', ')}`);
  await withLock(join(cacheDir(), 'locks', 'packages'), onProgress, async () => {
    const still = await missingPackages();
    if (still.length === 0) return;
    onProgress(`installing Debian packages: ${still.join(', ')}`);
    await withoutServices(async () => await install(still));
  });
}

async function missingPackages(): Promise<string[]> {
  const names = Object.keys(packages);
  const query = ['-W', '-f', `\${Package} \${db:Status-Status}\n`, ...names];
  // It exits 1 when it doesn't know one of them, having printed the others.
  const { stdout } = await run('sh', ['-c', 'dpkg-query "$@" 2>/dev/null || test $? = 1', 'sh', ...query], {
    env: process.env,
  });
  const installed = new Set(
    stdout.split('\n').flatMap((line) => (line.endsWith(' installed') ? [line.split(' ')[0]] : [])),
  );
  return names.filter((name) => !installed.has(name));
}

async function install(names: string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
  const update = await run('apt-get', [...options, 'update'], { env, timeoutMs: 300_000 }).catch(
    (error: Error) => error,
  );
  try {
    const args = [...options, 'install', '-y', '--no-install-recommends', ...names];
    await run('apt-get', args, { env, timeoutMs: 900_000 });
  } catch (error) {
    // A list that can't be refreshed only matters when the packages then can't be had.
    const also = update instanceof Error ? `\nbefore it: ${update.message}` : '';
    throw new Error(`can't install ${names.join(', ')}: ${error instanceof Error ? error.message : error}${also}`, {
      cause: error,
    });
  }
}

/** Debian starts a package's service when it is installed, unless this file says no (101: forbidden by policy). */
async function withoutServices(act: () => Promise<void>): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return await act();
  await writeFile(policy, '#!/bin/sh\nexit 101\n');
  await chmod(policy, 0o755);
  try {
    await act();
  } finally {
    await rm(policy, { force: true });
  }
}

/** The path of `uv`, from PyPI, in the cache. Needs the packages. */
export async function ensureUv(onProgress: Progress = () => {}): Promise<string> {
  const folder = await cached('uv', contentKey(UV), async (dir) => {
    onProgress('getting uv from PyPI');
    const venv = join(dir, 'venv');
    await run('/usr/bin/python3', ['-m', 'venv', venv], { env: process.env });
    const args = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', `uv==${UV}`];
    await run(join(venv, 'bin/python'), args, { env: process.env, timeoutMs: 600_000 });
  });
  // The program itself does not know its folder, so that the renamed environment does no harm.
  return join(folder, 'venv/bin/uv');
}
