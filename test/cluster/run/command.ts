import { spawn } from 'node:child_process';

/** How a command is run: all of `env` (not added to ours), the text for its standard input, its time limit. */
export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  input?: string;
  timeoutMs?: number;
  onLine?: (line: string) => void;
}

/** What a command printed. */
export interface Printed {
  stdout: string;
  stderr: string;
}

/**
 * Runs a command to its end (within 2 minutes unless told otherwise).
 * Throws with the end of what it printed when it can't start, exits other than 0 or is out of time.
 */
export async function run(command: string, args: string[], options: CommandOptions = {}): Promise<Printed> {
  const { cwd, env, input, timeoutMs = 120_000, onLine } = options;
  // A group of its own, so that running out of time ends its children, too.
  const child = spawn(command, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const printed: Printed = { stdout: '', stderr: '' };
  let outOfTime = false;
  const clock = setTimeout(() => {
    outOfTime = true;
    if (child.pid) process.kill(-child.pid, 'SIGKILL');
  }, timeoutMs);
  const gather = (stream: keyof Printed) => (text: string) => {
    printed[stream] += text;
    if (onLine) for (const line of text.split('\n')) if (line.trim()) onLine(line.trim());
  };
  child.stdout.setEncoding('utf8').on('data', gather('stdout'));
  child.stderr.setEncoding('utf8').on('data', gather('stderr'));
  // A program that ends without reading all its input is judged by its exit code.
  child.stdin.on('error', () => {}).end(input ?? '');
  try {
    const code = await new Promise<number | string>((resolve, reject) => {
      child.once('error', reject).once('close', (exit, signal) => resolve(exit ?? signal ?? 'unknown'));
    });
    if (code !== 0) {
      throw new Error(outOfTime ? `out of time after ${timeoutMs / 1000} s` : `exit ${code}`);
    }
    return printed;
  } catch (error) {
    const tail = `${printed.stdout}\n${printed.stderr}`.trim().split('\n').slice(-40).join('\n');
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${[command, ...args].join(' ').slice(0, 300)}: ${why}\n${tail}`, { cause: error });
  } finally {
    clearTimeout(clock);
  }
}
