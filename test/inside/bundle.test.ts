import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  askScript,
  digestsScript,
  probeScript,
  runnerScript,
  shellCommand,
  takeUpScript,
} from '../../src/inside/bundle.ts';
import { run } from '../cluster/run/command.ts';

const digests = () => digestsScript('airflow', 'ff');

let bin: string;
beforeAll(async () => {
  bin = await mkdtemp(join(tmpdir(), 'downdraft-bin-'));
});
afterAll(async () => await rm(bin, { recursive: true, force: true }));

const programs: [string, () => string][] = [
  ['probe', probeScript],
  ['runner', runnerScript],
  ['ask', askScript],
  ['digests', digests],
  ['triggers', takeUpScript],
];

/** A bundle with another last line than the one that starts its program. */
const instead = (script: () => string, line: string) => script().replace(/\nstart\(TEXTS, .*\n$/, `\n${line}\n`);

const python = async (text: string, env: NodeJS.ProcessEnv = {}) =>
  (await run('python3', ['-'], { env: { ...process.env, ...env }, input: text })).stdout.trim();

describe('the programs as text', () => {
  it.each(programs)('%s is in the syntax of Python 3.8, module by module', async (_name, script) => {
    const parsed = `import ast
for path, text in TEXTS.items():
    path.endswith(".json") or ast.parse(text, path, feature_version=(3, 8))`;
    await python(instead(script, parsed));
  });

  it.each(programs)('%s has all modules that it imports, and no more', async (name, script) => {
    const imported = `sys.meta_path.insert(0, Texts(TEXTS))
importlib.import_module("downdraft.${name}")
found = {module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "downdraft"}
print(sorted(path for path in TEXTS if path.endswith(".py") and path not in found))`;
    expect(await python(instead(script, imported))).toBe('[]');
  });

  it.each(programs)('%s fits into arguments, and Kubernetes finds no variable in it', (_name, script) => {
    for (const argument of shellCommand(script())) {
      expect(argument).not.toMatch(/\$\(|\$\$/);
      expect(Buffer.byteLength(argument)).toBeLessThan(100_000);
    }
  });

  it.each([
    ['ask', askScript],
    ['digests', digests],
  ])('%s, which goes by stdin, is in the last argument whole', (_name, script) => {
    expect(inflateSync(Buffer.from(shellCommand(script()).at(-1)!, 'base64')).toString()).toBe(script());
  });

  it('a traceback tells module, line and the line itself', async () => {
    const failed = `import traceback
sys.meta_path.insert(0, Texts(TEXTS))
from downdraft.text import masked
try:
    masked(None)
except TypeError:
    print(traceback.format_exc())`;
    expect(await python(instead(probeScript, failed))).toMatch(
      /File "<downdraft\.text>", line \d+, in masked\n {4}text = re\.sub\(r"Cannot execute/,
    );
  });

  it("an image's own downdraft is not taken for it, and its data is found", async () => {
    const others = join(bin, 'others');
    await mkdir(join(others, 'downdraft/steps'), { recursive: true });
    for (const file of ['__init__.py', 'refused.py', 'steps/__init__.py', 'steps/odd.py'])
      await writeFile(join(others, 'downdraft', file), 'raise SystemExit("another one")\n');
    const told = `sys.meta_path.insert(0, Texts(TEXTS))
from downdraft.refused import Refused
from downdraft.steps.effects import ROW_EFFECTS
try:
    importlib.import_module("downdraft.steps.odd")
except ModuleNotFoundError as error:
    print(Refused.__module__, len(ROW_EFFECTS["checked"]) > 0, error)`;
    expect(await python(instead(runnerScript, told), { PYTHONPATH: others })).toBe(
      "downdraft.refused True No module named 'downdraft.steps.odd'",
    );
  });
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
