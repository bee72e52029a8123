import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shellCommand, takeUpScript } from '../../src/inside/bundle.ts';
import type { AskedTrigger, TakeUp } from '../../src/release/model/runner.ts';
import { run } from '../cluster/run/command.ts';
import { airflowEnv } from './airflow.ts';
import { ensureVenv } from './venv.ts';

// Nobody listens there: whatever connects fails.
const nowhere = 'postgresql://airflow:a-secret-word@127.0.0.1:1/airflow';
const [command, ...argv] = shellCommand(takeUpScript()) as [string, ...string[]];
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'downdraft-takeup-'));
  const modules = {
    own: 'class Any:\n    def __init__(self, **given): pass\n\nclass Two:\n    def __init__(self, a, *, b, c=1): raise RuntimeError("made")\n\nnumber = 3\n',
    wants: 'import package_that_is_not_there\n',
    exits: 'import sys\nsys.exit("told to")\n',
    ends: 'import os\nprint("DOWNDRAFT-TRIGGERS from a module", flush=True)\nos._exit(0)\n',
    hangs: 'import time\ntime.sleep(600)\n',
  };
  for (const [name, text] of Object.entries(modules)) await writeFile(join(home, `${name}.py`), text);
});
afterAll(async () => await rm(home, { recursive: true, force: true }));

async function ask(version: string, asked: AskedTrigger[], seconds = 60): Promise<TakeUp[]> {
  const env = {
    ...airflowEnv(await ensureVenv(version), home, nowhere),
    PYTHONPATH: home,
    DOWNDRAFT_TRIGGERS: JSON.stringify(asked),
    DOWNDRAFT_TRIGGERS_SECONDS: String(seconds),
  };
  const { stdout } = await run(command, argv, { env, timeoutMs: 100_000 });
  expect(stdout).toMatch(/^DOWNDRAFT-TRIGGERS \{.*\}\n$/);
  return (JSON.parse(stdout.replace(/^DOWNDRAFT-TRIGGERS /, '')) as { triggers: TakeUp[] }).triggers;
}

const of = (name: string, ...names: string[]): AskedTrigger => ({ class: name, arguments: names });
const moment = of('airflow.providers.standard.triggers.temporal.DateTimeTrigger', 'end_from_trigger', 'moment');
const formerMoment = of('airflow.triggers.temporal.DateTimeTrigger', 'end_from_trigger', 'moment');
const callback = of('airflow.triggers.callback.CallbackTrigger', 'callback_kwargs', 'callback_path');

describe('a target image', () => {
  it('3.1.8 takes up what it has, and says what it lacks, refuses or needs; nothing is made of it', async () => {
    const asked: [AskedTrigger, Partial<TakeUp>][] = [
      [moment, {}],
      [callback, { lacks: "No module named 'airflow.triggers.callback'" }],
      [of('own.Any', 'whatever'), {}],
      [of('own.Two', 'a', 'b'), {}],
      [of('own.Two', 'a', 'x', 'y'), { refuses: ['x', 'y'], needs: ['b'] }],
      [of('own.Gone'), { lacks: expect.stringMatching(/no attribute 'Gone'/) }],
      [of('own.number'), { lacks: 'it is no class' }],
      [of('wants.It'), { lacks: "No module named 'package_that_is_not_there'" }],
      [of('exits.It'), { lacks: 'SystemExit: told to' }],
    ];
    const told = await ask(
      '3.1.8',
      asked.map(([one]) => one),
    );
    expect(told).toEqual(asked.map(([one, answer]) => ({ ...one, ...answer })));
  }, 600_000);

  it('does not know of a class whose module hangs or ends the process, and goes on with the next', async () => {
    const asked = [of('own.Any'), of('ends.It'), of('hangs.It'), of('own.Any', 'a')];
    expect(await ask('3.1.8', asked, 8)).toEqual([
      asked[0],
      { ...asked[1], notKnown: 'importing it ended the process' },
      { ...asked[2], notKnown: 'importing it took too long' },
      asked[3],
    ]);
  }, 120_000);

  it('2.9.3 refuses an argument that its class got in 2.10, and lacks the standard provider', async () => {
    expect(await ask('2.9.3', [formerMoment, moment])).toEqual([
      { ...formerMoment, refuses: ['end_from_trigger'] },
      { ...moment, lacks: "No module named 'airflow.providers.standard'" },
    ]);
  }, 900_000);
});
