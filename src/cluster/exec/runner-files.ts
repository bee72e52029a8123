/** The files by which the runner talks, read in one exec: a poll costs one round trip. */
import type { Client } from '../client/client.ts';
import { exec } from './exec.ts';

/** Between two files, and in place of one that is not there: control characters that JSON never holds. */
const end = '\x1e';

const missing = '\x1d';

/**
 * Texts of files in a container, in the order of `paths`; undefined where there is none. The last path is a pid file: its
 * text comes back only while that process lives. Throws when the stream ended without saying how, or the shell failed.
 */
export async function runnerFiles(
  client: Client,
  namespace: string,
  pod: string,
  container: string,
  paths: string[],
): Promise<(string | undefined)[]> {
  const [pid, ...others] = [...paths].reverse() as [string, ...string[]];
  const files = others.reverse().map((p) => `cat '${p}' 2>/dev/null || printf '\\035'; printf '\\036'`);
  const alive = `p=$(cat '${pid}' 2>/dev/null) && kill -0 "$p" 2>/dev/null && printf '%s' "$p" || printf '\\035'`;
  const command = ['sh', '-c', [...files, alive].join('; ')];
  const outcome = await exec(client, { namespace, pod, container, command, timeoutMs: 10_000 });
  if (outcome.exitCode !== 0)
    throw new Error(
      `reading the runner's files in pod/${pod} ended with ${outcome.exitCode ?? 'no exit code'}: ${outcome.ended ?? outcome.stderr.trim()}`,
    );
  return outcome.stdout.split(end).map((text) => (text.endsWith(missing) ? undefined : text));
}
