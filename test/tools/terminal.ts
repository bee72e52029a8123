/** A person's terminal: a tool runs to its end, and what it said and its exit code are kept, also when it failed. */
import { spawn } from 'node:child_process';

export interface Said {
  code: number;
  stdout: string;
  stderr: string;
  seconds: number;
}

export interface TypeOptions {
  input?: string;
  /** Beside the terminal's own environment. */
  env?: Record<string, string>;
  cwd?: string;
  timeoutMs?: number;
}

/** Runs one command. Throws when it can't start or is out of time (2 minutes unless told otherwise). */
export type Type = (command: string, args: string[], options?: TypeOptions) => Promise<Said>;

/** A terminal with this environment. */
export function terminal(own: NodeJS.ProcessEnv): Type {
  return async (command, args, { input = '', env = {}, cwd, timeoutMs = 120_000 } = {}) => {
    const began = performance.now();
    const child = spawn(command, args, { env: { ...own, ...env }, cwd, detached: true });
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (said.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (said.stderr += text));
    // A tool that does not read its input to the end is judged by its exit code.
    child.stdin.on('error', () => undefined).end(input);
    // A group of its own, so that what the tool started ends with it.
    const clock = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), timeoutMs);
    try {
      const code = await new Promise<number | null>((resolve, reject) => {
        child.once('error', reject).once('close', resolve);
      });
      if (code === null)
        throw new Error(
          `${command} ${args.join(' ')}: no end within ${timeoutMs / 1000} s\n${said.stdout}${said.stderr}`,
        );
      return { code, ...said, seconds: (performance.now() - began) / 1000 };
    } finally {
      clearTimeout(clock);
    }
  };
}

/** The text that a tool printed; throws with all that it said when it failed. */
export function must({ code, stdout, stderr }: Said): string {
  if (code !== 0) throw new Error(`exit ${code}\n${stdout}${stderr}`);
  return stdout + stderr;
}

/** The warnings of the API server in what a tool printed, without what the tool writes around them. */
export function warningsIn({ stderr }: Said): string[] {
  return stderr
    .split('\n')
    .filter((line) => line.includes('downdraft '))
    .map((line) =>
      line
        .replace(/^.*?Warning: /, '')
        .replace(/^.*?"(?=downdraft )/, '')
        .replace(/"$/, ''),
    );
}
