/** A clone in a folder that only root may enter: who runs the tests there reads which folder it is, and waits for nothing. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closedTo, expectReachable } from './reachable.ts';

const someone = { uid: 65534, gid: 65534 };
const isRoot = process.getuid?.() === 0;

describe('what another user can not enter', () => {
  let folder: string;
  const inner = () => join(folder, 'inner');
  const program = () => join(inner(), 'program');

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'downdraft-reachable-'));
    mkdirSync(inner());
    writeFileSync(program(), '', { mode: 0o755 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const cases: [string, number, number, number, (() => string) | undefined][] = [
    ['nothing, where all is open', 0o755, 0o755, 0o755, undefined],
    ['nothing, where a folder can be entered and not listed', 0o711, 0o755, 0o755, undefined],
    ['the outer folder of two that are closed', 0o700, 0o700, 0o755, () => folder],
    ['the inner folder', 0o755, 0o750, 0o755, inner],
    ['the program itself', 0o755, 0o755, 0o700, program],
  ];

  it.each(cases)('is %s', (_, outerMode, innerMode, programMode, expected) => {
    chmodSync(folder, outerMode);
    chmodSync(inner(), innerMode);
    chmodSync(program(), programMode);
    // Only root can ask as another; anyone else is told nothing, and PostgreSQL runs as they themselves.
    expect(closedTo(someone, program())).toBe(isRoot ? expected?.() : undefined);
  });

  it('is named in one line, with what to do', () => {
    chmodSync(folder, 0o700);
    if (isRoot) expect(() => expectReachable(inner())).toThrow(`who can't enter ${folder}: open that folder`);
    else expect(() => expectReachable(inner())).not.toThrow();
  });
});

it('the project where these tests run is open enough', () => {
  expect(() => expectReachable(tmpdir())).not.toThrow();
});
