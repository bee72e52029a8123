/** Who starts a script with a Node that is too old, or before the packages are there, reads one line. */
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);
const { engines, scripts, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));

/** What it prints and its exit code; `options` come before the script. */
async function start(node: string, options: string[], folder = '.') {
  const args = [...options, join(folder, '.run.cjs'), 'test/cluster/cli.ts'];
  return await run(node, args, { env: { PATH: process.env.PATH } }).then(
    () => ({ code: 0, stderr: '' }),
    ({ code, stderr }: { code: number; stderr: string }) => ({ code, stderr }),
  );
}

const tooOld = (version: string) =>
  `downdraft: this is Node ${version}, and Node 24 or newer is needed: "npm ci" brings it along for "npm run …"\n`;

it('the Node that is asked for is the one of the image and of the scripts', () => {
  expect(engines.node).toBe('>=24');
  expect(devDependencies.node).toMatch(/^\^24\./);
  expect(readFileSync('Dockerfile', 'utf8')).toContain('node:24-');
});

it('every script that is a program of ours starts through the check', () => {
  const past = Object.entries<string>(scripts).filter(([, line]) => /^node (?!\.run\.cjs )/.test(line));
  expect(past).toEqual([]);
});

it('one that is too old is named in one line', async () => {
  const version = `Object.defineProperty(process.versions, 'node', { value: '20.20.2' })`;
  const said = await start(process.execPath, ['--import', `data:text/javascript,${version}`]);
  expect(said).toEqual({ code: 1, stderr: tooOld('20.20.2') });
});

it("the machine's own Node starts it, or is named in one line", async () => {
  const own = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => existsSync(path)) ?? process.execPath;
  const version = (await run(own, ['--version'])).stdout.trim().slice(1);
  const said = await start(own, []);
  if (Number.parseInt(version, 10) < 24) expect(said).toEqual({ code: 1, stderr: tooOld(version) });
  else expect(said).toEqual({ code: 2, stderr: expect.stringMatching(/^usage: npm run cluster/) });
});

it('packages that are missing are named in one line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'downdraft-script-'));
  try {
    for (const file of ['.run.cjs', 'package.json']) copyFileSync(file, join(folder, file));
    const stderr = 'downdraft: the packages are missing: run "npm ci" first\n';
    expect(await start(process.execPath, [], folder)).toEqual({ code: 1, stderr });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('a script has its own arguments', async () => {
  const { stdout } = await run(process.execPath, ['.run.cjs', 'test/demo/demo.ts', '--help']);
  expect(stdout).toContain('npm run demo -- --stop');
});
