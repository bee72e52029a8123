/**
 * The demo's door: what it says before it does anything. The demo itself is the stories, told to a person; it is not
 * run here, for it takes minutes.
 */

import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../stories/place.ts';
import { readArguments } from './arguments.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'downdraft-demo-test-'));
});

afterAll(async () => await rm(folder, { recursive: true, force: true }));

interface Answer {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function demo(args: string[], uid?: number): Promise<Answer> {
  const program = join(root, 'test/demo/demo.ts');
  const env = { ...process.env, DOWNDRAFT_CACHE: join(folder, 'cache') };
  const child = spawn(process.execPath, [program, ...args], { cwd: '/', env, uid, timeout: 60_000 });
  const answer: Answer = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    answer.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    answer.stderr += text;
  });
  answer.code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  return answer;
}

/** Whether any user may come to this folder and read it. */
function isOpen(path: string): boolean {
  const open = (statSync(path).mode & 0o005) === 0o005;
  return open && (dirname(path) === path || isOpen(dirname(path)));
}

describe('npm run demo', () => {
  it('tells what there is, in lines that fit', async () => {
    const { code, stdout } = await demo(['--help']);
    expect(code).toBe(0);
    for (const option of ['--stop', '--context', '--image', '--keep']) expect(stdout).toContain(option);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
  }, 60_000);

  it('an unknown argument: one clear line and exit 2', async () => {
    const { code, stdout, stderr } = await demo(['--bogus']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe("Unknown option '--bogus'; npm run demo -- --help tells what there is\n");
  }, 60_000);

  it.each([
    [['up'], "Unexpected argument 'up'"],
    [['--context', 'mine'], '--context needs --image downdraft=REPOSITORY:TAG'],
    [['--context', ''], '--context needs the name'],
    [['--image', 'downdraft=x:1'], '--image is for a cluster named by --context'],
    [['--context', 'mine', '--image', 'downdraft=x'], 'a tag is missing'],
    [['--context', 'mine', '--image', 'other=x:1'], 'expected downdraft=…, airflow=… or postgres=…'],
    [['--stop', '--context', 'mine', '--image', 'downdraft=x:1'], '--stop needs no --image'],
  ])('%j is refused in one line', (args, said) => {
    expect(() => readArguments(args)).toThrow(said);
    expect(() => readArguments(args)).not.toThrow('\n');
  });

  it('--context with its images, and --stop for both kinds of cluster, are understood', () => {
    const given = [
      '--context',
      'mine',
      '--image',
      'downdraft=a.example:5000/d:1',
      '--image',
      'airflow=b.example:5000/airflow',
    ];
    expect(readArguments(given)).toEqual({
      action: 'run',
      context: 'mine',
      images: { downdraft: 'a.example:5000/d:1', airflow: 'b.example:5000/airflow' },
    });
    expect(readArguments(['--stop'])).toEqual({ action: 'stop', context: undefined, images: {} });
    expect(readArguments(['--context', 'mine', '--stop'])).toEqual({ action: 'stop', context: 'mine', images: {} });
    expect(readArguments(['--keep']).action).toBe('run');
  });

  const closed = isRoot && !isOpen(root);
  it.skipIf(closed)(
    `without root: says what is missing, and does nothing${closed ? ' (skipped: only root may read this folder)' : ''}`,
    async () => {
      const { code, stdout, stderr } = await demo([], isRoot ? NOBODY : undefined);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/a test node needs (root|Linux|Debian 12)/);
      expect(stderr).toContain('--help');
      expect(existsSync(join(folder, 'cache'))).toBe(false);
    },
    60_000,
  );
});
