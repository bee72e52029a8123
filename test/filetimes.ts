/** A reporter that writes how long each test file took, its hooks included, which the report in JSON leaves out. */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

export type FileTimes = Record<string, number>;

/** Where to, by the environment. */
export const fileTimesVariable = 'DOWNDRAFT_FILE_TIMES';

export default class implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const file = process.env[fileTimesVariable];
    if (file === undefined) return;
    const times: FileTimes = {};
    for (const one of modules) times[relative(process.cwd(), one.moduleId)] = one.diagnostic().duration / 1000;
    writeFileSync(file, JSON.stringify(times));
  }
}
