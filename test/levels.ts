/**
 * The levels of test, fast ones first. Rules and door need Python 3.11 and, once, a package index for the tools that look at
 * src/inside; cluster needs Go for its binaries; node and stories need root on Debian.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Cost, inWords, overrun } from './budget.ts';
import { type FileTimes, fileTimesVariable } from './filetimes.ts';
import { startMeter } from './meter.ts';

export interface Level {
  name: string;
  question: string;
  /** Paths below test/ whose *.test.ts files belong to it. */
  paths: string[];
  /** Test files that another level has. */
  except?: string[];
  /** One file at a time: they share a machine of 2 cores with a cluster. */
  serial: boolean;
  /** Needs a real node. */
  node: boolean;
}

const coreStories = ['test/stories/downgrade.test.ts'];

/** Files beside those of the door that need the control plane. */
const clusterAlso = [
  'test/admission/matchconditions.test.ts',
  'test/admission/forged.test.ts',
  'test/admission/goldens.test.ts',
  'test/admission/helmrecord.test.ts',
  'test/admission/innocent.test.ts',
  'test/registry/crane.test.ts',
];

/** What Python's own tools say of the package in src/inside. */
const pythonsOwn = 'test/inside/python.test.ts';

/** Callers that send the worst there is. */
const hostile = ['test/admission/flags.test.ts'];

export const levels = {
  rules: {
    name: 'rules',
    question: 'is every verdict, plan and phase right?',
    paths: [
      'test/release',
      'test/controller',
      'test/house',
      'test/config.test.ts',
      'test/cluster/paths.test.ts',
      pythonsOwn,
    ],
    except: ['test/release/heads-stale.test.ts'],
    serial: false,
    node: false,
  },
  door: {
    name: 'door',
    question: 'is the wire right, also for hostile input?',
    paths: [
      'test/admission',
      'test/certs',
      'test/database',
      'test/wiring',
      'test/registry',
      'test/manifests',
      'test/release/heads-stale.test.ts',
    ],
    // They load the machine, and would keep others waiting.
    except: [...clusterAlso, ...hostile],
    serial: false,
    node: false,
  },
  airflow: {
    name: 'airflow',
    question: 'does what runs inside an Airflow image do there what it must?',
    paths: ['test/inside'],
    except: [pythonsOwn],
    serial: false,
    node: false,
  },
  matrix: {
    name: 'matrix',
    question: 'does every pair of releases go back, and the older one work on its rows?',
    paths: ['test/matrix'],
    serial: true,
    node: false,
  },
  cluster: {
    name: 'cluster',
    question: 'is it called when it must be and only then; does the loop survive?',
    paths: ['test/cluster/cluster.test.ts', 'test/cluster-client', ...clusterAlso, 'test/loop'],
    serial: true,
    node: false,
  },
  tools: {
    name: 'tools',
    question: 'what do people see in the tool that they use?',
    paths: ['test/tools'],
    serial: true,
    node: false,
  },
  cost: {
    name: 'cost',
    question: 'does a review still cost what it did, and the leader what it may?',
    paths: ['test/bench', ...hostile],
    serial: true,
    node: false,
  },
  node: {
    name: 'node',
    question: 'does the test cluster itself hold?',
    paths: ['test/cluster/node.test.ts'],
    serial: true,
    node: true,
  },
  core: {
    name: 'core stories',
    question: 'does Airflow run on the older version afterwards?',
    paths: coreStories,
    serial: true,
    node: true,
  },
  stories: {
    name: 'stories',
    question: 'and whatever happens in between?',
    paths: ['test/stories', 'test/demo'],
    except: coreStories,
    serial: true,
    node: true,
  },
} satisfies Record<string, Level>;

/** Both levels of stories in one run, on one node. */
export const everyStory: Level = {
  ...levels.stories,
  question: `${levels.core.question.slice(0, -1)}, ${levels.stories.question}`,
  except: [],
};

export interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs the tests of one level, showing what they do and what they cost, and counts them. A level without a single test counts
 * as failed, and so does one over its budget.
 */
export async function runLevel(level: Level, extra: string[] = []): Promise<Count> {
  const folder = await mkdtemp(join(tmpdir(), 'downdraft-test-'));
  const [report, times] = [join(folder, 'report.json'), join(folder, 'times.json')];
  const except = (level.except ?? []).flatMap((file) => ['--exclude', file]);
  const written = ['--reporter=json', `--outputFile.json=${report}`, '--reporter=./test/filetimes.ts'];
  const args = [
    'run',
    '--config',
    'test/vitest.config.ts',
    ...level.paths,
    ...except,
    '--reporter=verbose',
    ...written,
  ];
  const began = performance.now();
  const meter = await startMeter(level.name.replace(' ', '-'));
  try {
    const code = await vitest([...args, ...extra], {
      DOWNDRAFT_SERIAL: level.serial ? '1' : '0',
      [fileTimesVariable]: times,
      ...meter.env,
    });
    const cost: Cost = {
      wallSeconds: (performance.now() - began) / 1000,
      processorSeconds: await meter.end(),
      files: JSON.parse(await readFile(times, 'utf8').catch(() => '{}')) as FileTimes,
    };
    for (const line of inWords(level.name, cost)) console.log(line);
    const over = overrun(level.name, cost);
    if (over) console.log(`failed: ${over}`);
    const count = await countOf(report, code);
    return { ...count, failed: count.failed + (over ? 1 : 0) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function vitest(args: string[], more: Record<string, string>): Promise<number | null> {
  return await new Promise((resolve, reject) => {
    const env = { ...process.env, ...more };
    spawn(join(root, 'node_modules/.bin/vitest'), args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env })
      .once('error', reject)
      .once('close', resolve);
  });
}

async function countOf(report: string, code: number | null): Promise<Count> {
  const text = await readFile(report, 'utf8').catch(() => undefined);
  if (text === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const told = JSON.parse(text) as {
    numPassedTests: number;
    numFailedTests: number;
    numPendingTests: number;
    numTodoTests: number;
    numFailedTestSuites: number;
  };
  const { numPassedTests: passed, numPendingTests, numTodoTests } = told;
  // A file that could not even be loaded has no tests to fail.
  const failed = told.numFailedTests || (code === 0 ? 0 : Math.max(1, told.numFailedTestSuites));
  return { passed, failed: passed + failed === 0 ? 1 : failed, skipped: numPendingTests + numTodoTests };
}
