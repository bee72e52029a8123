/** Files and processes in a container, by short execs of sh. Nothing that is passed in becomes shell text unquoted. */
import { randomBytes } from 'node:crypto';
import type { Client } from '../client/client.ts';
import { type ExecOutcome, exec } from './exec.ts';

/**
 * A stream that is cut looks like the end of the text to the reader in the container: the length decides whether the
 * file is whole. It also ends the reading where stdin can't be closed (v4). A draft of its own for each writer.
 */
const writeScript = `
umask 077; mkdir -p "$(dirname "$1")" || exit
trap 'rm -f "$2"' EXIT
head -c "$3" > "$2" || exit
[ "$(wc -c < "$2")" -eq "$3" ] || { echo "only part of the text arrived" >&2; exit 1; }
mv -f "$2" "$1"`;

/** Writes a file that only its user can read, whole or not at all; makes its folder. Throws when it is not known to be written. */
export async function writeFile(
  client: Client,
  namespace: string,
  pod: string,
  container: string,
  path: string,
  text: string,
): Promise<void> {
  const draft = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  const command = ['sh', '-c', writeScript, 'sh', path, draft, String(Buffer.byteLength(text))];
  const outcome = await exec(client, { namespace, pod, container, command, stdin: text, timeoutMs: 30_000 });
  if (outcome.exitCode !== 0) throw failed(`write ${path} in ${namespace}/${pod}`, outcome);
}

/**
 * A session of its own (setsid) outlives the stream and its signals; nohup where util-linux is missing. The shell
 * answers 127 when there is no such command, and 0 once it has forked.
 */
const startScript = `
command -v "$1" > /dev/null || { echo "no such command: $1" >&2; exit 127; }
: >> "$out" || exit
if command -v setsid > /dev/null; then setsid "$@" < /dev/null >> "$out" 2>&1 &
else nohup "$@" < /dev/null >> "$out" 2>&1 & fi`;

/** Reads as many bytes as it is told: where stdin can't be closed (v4) that ends the reading. */
const readAndRun = 'eval "$(head -c "$1")"';

/**
 * Starts a command that outlives the stream; its output is added to the file `output`. Throws when it is not known to be
 * started. The command travels by stdin: an exec's own command stands in a URL, which the runner's program is too long
 * for (proxies cut at 8 KB, and audit logs keep it). It stands in braces, so that a part of it is a syntax error.
 */
export async function startDetached(
  client: Client,
  namespace: string,
  pod: string,
  container: string,
  command: string[],
  output = '/tmp/downdraft.out',
): Promise<void> {
  const stdin = `{\nout=${quoted(output)}; set -- ${command.map(quoted).join(' ')}\n${startScript}\n}`;
  const reader = ['sh', '-c', readAndRun, 'sh', String(Buffer.byteLength(stdin))];
  const outcome = await exec(client, { namespace, pod, container, command: reader, stdin, timeoutMs: 15_000 });
  if (outcome.exitCode !== 0) throw failed(`start ${command[0]} in ${namespace}/${pod}`, outcome);
}

/** One word of sh, whatever stands in it. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function failed(what: string, { exitCode, stderr, ended, cut }: ExecOutcome): Error {
  const why =
    exitCode === undefined ? ended : cut ? 'more than 1 MiB' : `exit code ${exitCode}: ${stderr.trim().slice(0, 500)}`;
  return new Error(`could not ${what}: ${why}`);
}
