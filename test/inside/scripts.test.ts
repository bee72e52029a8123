import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  askScript,
  digestsScript,
  probeScript,
  runnerScript,
  shellCommand,
  takeUpScript,
} from '../../src/inside/scripts.ts';
import { run } from '../cluster/command.ts';

const digests = () => digestsScript('airflow', 'ff');

let bin: string;
beforeAll(async () => {
  bin = await mkdtemp(join(tmpdir(), 'downdraft-bin-'));
});
afterAll(async () => await rm(bin, { recursive: true, force: true }));

describe('the scripts as text', () => {
  it.each([
    ['probe', probeScript],
    ['runner', runnerScript],
    ['ask', askScript],
    ['digests', digests],
    ['triggers', takeUpScript],
  ])('%s is one program in the syntax of Python 3.8', async (_name, script) => {
    const check = 'import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 8))';
    await run('python3', ['-c', check], { env: process.env, input: script() });
  });

  it.each([
    ['probe', probeScript],
    ['runner', runnerScript],
    ['ask', askScript],
    ['digests', digests],
    ['triggers', takeUpScript],
  ])('%s fits into arguments, and Kubernetes finds no variable in it', (_name, script) => {
    for (const argument of shellCommand(script())) {
      expect(argument).not.toMatch(/\$\(|\$\$/);
      expect(Buffer.byteLength(argument)).toBeLessThan(100_000);
    }
  });
});

it('no name is given twice at the top of the files that are joined: the later one would count for both', async () => {
  const names = `import ast, collections, sys
tree = ast.parse(sys.stdin.read())
given = [n.id for s in tree.body if isinstance(s, ast.Assign) for n in s.targets if isinstance(n, ast.Name)]
given += [s.name for s in tree.body if isinstance(s, (ast.FunctionDef, ast.ClassDef))]
print([name for name, count in collections.Counter(given).items() if count > 1])`;
  for (const script of [probeScript, runnerScript, askScript, digests, takeUpScript])
    expect((await run('python3', ['-c', names], { env: process.env, input: script() })).stdout.trim()).toBe('[]');
});

describe('the interpreter', () => {
  it('is the one that the airflow executable names, though others are first on the PATH', async () => {
    await writeFile(join(bin, 'airflow'), `#!${join(bin, 'own-python')}\n`, { mode: 0o755 });
    await writeFile(join(bin, 'own-python'), '#!/bin/sh\n[ "$1" = -c ] || echo "ran own-python"\n', { mode: 0o755 });
    const [command, ...args] = shellCommand('x');
    const { stdout } = await run(command!, args, { env: { PATH: `${bin}:/usr/bin:/bin` } });
    expect(stdout.trim()).toBe('ran own-python');
  });

  it('is missed with a clear line when no Python can import airflow', async () => {
    const empty = join(bin, 'empty');
    await run('mkdir', ['-p', empty], { env: process.env });
    await symlink('/bin/sh', join(empty, 'sh'));
    const [command, ...args] = shellCommand('x');
    const failure = run(join(empty, command!), args, { env: { PATH: empty } });
    await expect(failure).rejects.toThrow(/exit 127[\s\S]*no Python of this image can import airflow/);
  });
});
