/**
 * Released packages, by the ordinary Python client: which there are, their wheels (kept in a cache folder) and what the
 * wheels say of their schema. Needs python3 with pip on the PATH; used when heads.json is made or checked, never by the
 * running service.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compare } from '@renovatebot/pep440';

const run = promisify(execFile);

/** What wheels.py says of one wheel. */
export interface Wheel {
  file: string;
  sha256: string;
  /** Every revision with the revisions it follows. */
  revisions: Record<string, string[]>;
  headsMap: Record<string, string>;
  managers: { class: string; versionTable: string }[];
}

const listSeconds = 90;
const downloadSeconds = 180;
const readSeconds = 300;

// The releases differ in the Python they run on; reading them needs none of it.
const anyPython = ['--no-deps', '--only-binary', ':all:', '--ignore-requires-python'];
const patience = ['--timeout', '20', '--retries', '2', '--progress-bar', 'off'];
const pip = ['-m', 'pip', '--disable-pip-version-check', '--no-input'];

/**
 * Lists the final releases of a package that have a wheel, from a version on, ascending. Yanked ones are among them,
 * since they run in clusters: `pip index versions` leaves those out, so this asks for a version that can't exist and
 * reads the ones that pip says there are. Throws when the package index does not answer.
 */
export async function releasesOf(packageName: string, from: string): Promise<string[]> {
  const request = ['download', ...anyPython, ...patience, '--dest', wheelFolder(), `${packageName}===0.is.not.there`];
  const answer = await runPip(request, listSeconds).then(
    () => '',
    (error: Error) => error.message,
  );
  const listed = /\(from versions: ([^)]+)\)/.exec(answer)?.[1];
  if (!listed || listed === 'none') {
    throw new Error(`the package index did not say which releases ${packageName} has: ${answer || 'no answer'}`);
  }
  const versions = listed.split(', ').filter((version) => /^\d+\.\d+\.\d+$/.test(version));
  return versions.filter((version) => compare(version, from) >= 0).sort(compare);
}

/**
 * Returns the path of a release's wheel, downloading it when it is not in the cache. Throws when it can't be had; a
 * download that breaks off leaves nothing in the cache.
 */
export async function fetchWheel(packageName: string, version: string): Promise<string> {
  const file = `${packageName.replaceAll('-', '_')}-${version}-py3-none-any.whl`;
  const cached = join(wheelFolder(), file);
  if (existsSync(cached)) return cached;
  process.stderr.write(`downloading ${packageName} ${version}\n`);
  await mkdir(wheelFolder(), { recursive: true });
  const arriving = await mkdtemp(join(wheelFolder(), 'arriving-'));
  try {
    const request = ['download', ...anyPython, ...patience, '--no-cache-dir', '--dest', arriving];
    await runPip([...request, `${packageName}==${version}`], downloadSeconds);
    await rename(join(arriving, file), cached);
  } finally {
    await rm(arriving, { recursive: true, force: true });
  }
  return cached;
}

/** Reads wheels with wheels.py. Throws when one of them can't be understood. */
export async function readWheels(paths: string[]): Promise<Wheel[]> {
  const script = fileURLToPath(new URL('wheels.py', import.meta.url));
  const { stdout } = await run('python3', [script, ...paths], {
    timeout: readSeconds * 1000,
    maxBuffer: 64 * 1024 * 1024,
  });
  const wheels = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Wheel);
  if (wheels.length !== paths.length || wheels.some((wheel, at) => wheel.file !== basename(paths[at]!))) {
    throw new Error(`wheels.py answered for ${wheels.length} of ${paths.length} wheels`);
  }
  return wheels;
}

function wheelFolder(): string {
  const cacheHome = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(process.env.DOWNDRAFT_CACHE || join(cacheHome, 'downdraft'), 'wheels');
}

async function runPip(request: string[], seconds: number): Promise<void> {
  try {
    await run('python3', [...pip, ...request], { timeout: seconds * 1000, maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    const failure = error as Error & { killed?: boolean; stderr?: string };
    if (failure.killed) throw new Error(`pip gave no answer within ${seconds} s`, { cause: error });
    const said = failure.stderr?.split('\n').find((line) => line.startsWith('ERROR:'));
    throw new Error(said ?? failure.message, { cause: error });
  }
}
