/**
 * A running Airflow container is asked where its database is and what stands in it (src/inside/downdraft/ask.py), by one exec.
 *
 * What it prints is a stranger's word: whoever may write a pod may write that line. So its shape is checked, its length
 * bounded, and of what goes wrong only the program's own sentence is repeated, never its error output.
 */
import type { DatabaseIdentity, DatabaseRead, DatabaseState, Session } from '../../release/model/database.ts';
import { isRecord } from '../../release/model/json.ts';
import type { Client } from '../client/client.ts';
import { ApiError } from '../client/errors.ts';
import { type ExecOutcome, exec } from './exec.ts';

export interface Asked {
  database: DatabaseState;
  /** SQLAlchemy's name of it: postgresql, mysql or sqlite. */
  backend?: string;
  /** Sessions of others; missing where the backend can't tell them. */
  sessions?: Session[];
}

const mark = 'DOWNDRAFT-DATABASE ';
const mostTables = 50;
const mostRows = 20;
const mostSessions = 200;
const mostCharacters = 300;

/**
 * The program's text comes by stdin: an exec's own command stands in a URL, which proxies cut at 8 KB and audit logs
 * keep. Backquotes keep all but line breaks at its end; the length ends the reading where stdin can't be closed.
 */
const start = 'program=`head -c "$1"`; export DOWNDRAFT_ASK_SECONDS="$2"; shift 2; exec "$@" "$program"';

/**
 * Asks one container, within timeoutMs. `program` is its argv with the text last (shellCommand(askScript())). Never
 * throws for what the world does: no right to exec, no such pod, no Python, no database are all `unreadable`, with one
 * sentence that names the pod and holds no secret.
 */
export async function askPod(
  client: Client,
  namespace: string,
  pod: string,
  container: string,
  timeoutMs: number,
  program: string[],
): Promise<Asked> {
  const asked = await askProgram(client, { namespace, pod, container }, timeoutMs, program, mark);
  return 'silent' in asked ? unreadable(pod, asked.silent) : answerOf(asked.line, pod);
}

/**
 * Runs a program of src/inside in a container and answers what stands after its mark in the last such line, or why there is
 * none, in words without a secret. Never throws for what the world does.
 */
export async function askProgram(
  client: Client,
  where: { namespace: string; pod: string; container: string },
  timeoutMs: number,
  program: string[],
  mark: string,
): Promise<{ line: string } | { silent: string }> {
  const stdin = program.at(-1) ?? '';
  // The program must have ended, and said why, before the stream is given up.
  const seconds = Math.max(1, Math.floor(timeoutMs * 0.9) / 1000);
  const size = String(Buffer.byteLength(stdin));
  const command = ['sh', '-c', start, 'sh', size, String(seconds), ...program.slice(0, -1)];
  try {
    const outcome = await exec(client, { ...where, command, stdin, timeoutMs });
    const line = lineIn(outcome, mark);
    return line === undefined ? { silent: silence(outcome) } : { line };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return {
      silent:
        error instanceof ApiError ? `may not or can't be asked: ${error.message}` : `not reached: ${error.message}`,
    };
  }
}

/** The line counts, however the stream ended; without one, the exit code or the end of the stream is told. */
function lineIn({ stdout }: ExecOutcome, mark: string): string | undefined {
  return stdout
    .split('\n')
    .slice(0, -1)
    .findLast((text) => text.startsWith(mark))
    ?.slice(mark.length);
}

function answerOf(line: string, pod: string): Asked {
  const told = parsed(line);
  if (isRecord(told) && typeof told.error === 'string') return unreadable(pod, told.error);
  const database = databaseIn(told);
  if (!database || !isRecord(told)) return unreadable(pod, 'answered what is not understood');
  const sessions = sessionsIn(told.sessions);
  const backend = typeof told.backend === 'string' ? short(told.backend) : undefined;
  return { database, ...(backend !== undefined && { backend }), ...(sessions && { sessions }) };
}

function silence({ exitCode, ended }: ExecOutcome): string {
  if (exitCode === undefined) return `no answer: ${ended}`;
  if (exitCode === 127) return 'no Python of this container can import airflow';
  return `said nothing (exit code ${exitCode})`;
}

function unreadable(pod: string, what: string): Asked {
  return { database: { state: 'unreadable', why: `asked in pod/${pod}: ${short(what)}` } };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function databaseIn(told: unknown): DatabaseRead | undefined {
  if (!isRecord(told) || !isRecord(told.versionTables) || typeof told.airflowTables !== 'boolean') return undefined;
  const identity = identityIn(told.identity);
  const tables = Object.entries(told.versionTables);
  if (!identity || tables.length > mostTables || !tables.every(([, heads]) => isTexts(heads))) return undefined;
  const versionTables = Object.fromEntries(
    tables.map(([table, heads]) => [short(table), (heads as string[]).slice(0, mostRows).map(short)]),
  );
  return { state: 'read', versionTables, airflowTables: told.airflowTables, identity };
}

function identityIn(told: unknown): DatabaseIdentity | undefined {
  if (!isRecord(told)) return undefined;
  const { database, oid, cluster } = told;
  return isTexts([database, oid, cluster])
    ? { database: String(database), oid: String(oid), cluster: String(cluster) }
    : undefined;
}

function sessionsIn(told: unknown): Session[] | undefined {
  if (!Array.isArray(told)) return undefined;
  return told
    .filter(isRecord)
    .slice(0, mostSessions)
    .map(({ pid, user, application, client, state }) => {
      const [by, from, at, how] = [user, application, client, state].map((field) => short(String(field ?? '')));
      return { pid: Number(pid), user: by!, application: from!, client: at!, state: how! };
    });
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}

/** One line, of bounded length. */
export function short(text: string): string {
  return text
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, mostCharacters);
}
