/**
 * How a copy is started: by the container's own command line, with our program in the place of `airflow scheduler`. What
 * the line does before (Vault's `source …`), an entry point or a wrapper may give the connection, and the copy must have
 * the one that the old process has. Where the line does nothing else, our program alone is the command. Pure.
 */
import type { ContainerSpec, EnvironmentVariable } from '../model/kubernetes.ts';
import { commandsOf, type ShellCommand } from './shell-words.ts';

type Started = Pick<ContainerSpec, 'env'> & { command?: string[]; args: string[] };

/** The container's command, arguments and environment for a program of ours, given as argv. */
export function startedAs(container: ContainerSpec, program: string[]): Started {
  const { env } = container;
  const [command, args] = [wordsOf(container.command), wordsOf(container.args)];
  const given = env ? { env } : {};
  const line = ownLine([...command, ...args], program);
  const byEntryPoint = command.length === 0 && takesPrograms(args) && !namesConnection(container);
  if (byEntryPoint) return { args: line ?? behind(args, program), env: withoutActs(env) };
  if (line) return { command: line, args: [], env: withoutActs(env) };
  return { command: program, args: [], ...given };
}

function wordsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** What the image's entry point is given today is a shell's line or airflow itself: it runs what it is given. */
function takesPrograms([first]: string[]): boolean {
  return first !== undefined && (shells.includes(baseOf(first)) || baseOf(first) === 'airflow');
}

/** Airflow's own entry point hands over to bash and python, and takes all else for a command of airflow's. */
function behind([first]: string[], program: string[]): string[] {
  const shell = first !== undefined && shells.includes(baseOf(first)) ? first : 'bash';
  return [shell, '-c', 'exec "$@"', 'downdraft', ...program];
}

/** Whether the pod's own spec says where the database is, so that nothing in the image has to. */
function namesConnection({ env = [], envFrom = [] }: ContainerSpec): boolean {
  return envFrom.length > 0 || env.some(({ name }) => name.includes('SQL_ALCHEMY_CONN'));
}

/** What Airflow's own entry point does at a start when it is told to: none of it may happen in a copy. */
const acts = {
  _AIRFLOW_DB_MIGRATE: '',
  _AIRFLOW_DB_UPGRADE: '',
  _AIRFLOW_WWW_USER_CREATE: '',
  CONNECTION_CHECK_MAX_COUNT: '0',
};

function withoutActs(env: EnvironmentVariable[] = []): EnvironmentVariable[] {
  const others = env.filter(({ name }) => !Object.hasOwn(acts, name));
  return [...others, ...Object.entries(acts).map(([name, value]) => ({ name, value }))];
}

const shells = ['sh', 'bash', 'dash', 'ash', 'zsh'];

function baseOf(word: string): string {
  return word.slice(word.lastIndexOf('/') + 1);
}

/** The own line with the program in it; undefined when it does nothing else, or can't be read. */
function ownLine(words: string[], program: string[]): string[] | undefined {
  const shell = words.findIndex((word) => shells.includes(baseOf(word)));
  if (shell >= 0) {
    const option = words.findIndex((word, at) => at > shell && /^-[a-z]*c$/.test(word));
    const script = words[option + 1];
    if (option < 0 || script === undefined || words.length > option + 2) return undefined;
    const line = withProgram(script);
    if (line === undefined || (line === 'exec "$@"' && shell === 0)) return undefined;
    return [...words.slice(0, option + 1), line, 'downdraft', ...program];
  }
  const at = words.findIndex((word, n) => baseOf(word) === 'airflow' && isComponent(words[n + 1]));
  if (at <= 0) return undefined;
  const python = at > 1 && words[at - 1] === '-m' ? at - 2 : at;
  return python === 0 ? undefined : [...words.slice(0, python), ...behind([], program)];
}

/** Subcommands that go on for as long as their pod. */
const components =
  /^(scheduler|webserver|api-server|celery|triggerer|dag-processor|standalone|worker|kerberos|edge|local-executor)$/;

/** The others that stand in command lines: they look at the database or write to it, and a copy does not. */
const others =
  /^(db|users|connections|variables|pools|sync-perm|version|info|config|dags|jobs|roles|providers|initdb|upgradedb|create_user|fab-db|db-manager|upgrade_check|cheat-sheet|plugins|backfill|tasks)$/;

function isComponent(word: string | undefined): boolean {
  return word !== undefined && (components.test(word) || word.includes('$'));
}

/** Before these a word `airflow` is no command. */
const saying =
  /^(echo|printf|for|test|\[|\[\[|command|which|type|export|local|readonly|cd|ls|mkdir|chown|chmod|rm|cp)$/;

const keywords = /^(then|do|else|\{|if|elif|while|until|!|time)$/;

interface Call {
  command: ShellCommand;
  index: number;
  /** Words before the call that stay where they are: assignments, keywords. */
  from: number;
  word: number;
}

/** A script with `exec "$@"` where Airflow's component stood, and nothing where other commands of airflow did. */
function withProgram(script: string): string | undefined {
  const commands = commandsOf(script);
  if (
    !commands ||
    commands.some(
      ({ words: [first, second] }) => first?.raw === 'shift' || (first?.raw === 'set' && second?.raw === '--'),
    )
  )
    return undefined;
  const calls = commands.flatMap((command, index) => callIn(command, index) ?? []);
  const main = calls.findLast(({ command, word }) => isComponent(command.words[word + 1]?.raw));
  if (!main) return undefined;
  const last = endOfPipeline(commands, main, script);
  if (!last) return undefined;
  let text = script;
  for (const call of calls.toReversed()) {
    const from = call.command.words[call.from]!.start;
    if (call !== main && (call.index < main.index || call.command.start > last.end))
      text = spliced(text, from, call.command.end, 'true');
    // It is waited for, also where Airflow was not.
    const [to, by] = last.operator === '&' ? [last.stop + 1, ';'] : [last.stop, ''];
    if (call === main) text = spliced(text, from, to, program(call) + by);
  }
  return text.trim();
}

function callIn(command: ShellCommand, index: number): Call | undefined {
  const words = command.words.map(({ raw }) => raw);
  const own = words.findIndex((word) => !keywords.test(word) && !/^\w+=/.test(word));
  if (own < 0 || saying.test(words[own]!)) return undefined;
  const at = words.findIndex(
    (word, n) => n >= own && isAirflow(word) && (isComponent(words[n + 1]) || others.test(words[n + 1] ?? '')),
  );
  if (at < 0) return undefined;
  const module = words[at - 1] === '-m' && /python[\d.]*$/.test(words[at - 2] ?? '');
  return { command, index, from: own, word: at, ...(module ? { module } : {}) };
}

function isAirflow(word: string): boolean {
  return baseOf(word.replaceAll(/["']/g, '')) === 'airflow';
}

/** `exec`, then the wrappers that stood before airflow (gosu, chamber exec … --), then our program. */
function program({ command, from, word }: Call): string {
  const before = command.words.slice(from, word).map(({ raw }) => raw);
  const wrappers = before.at(-1) === '-m' ? before.slice(0, -2) : before;
  const [first] = wrappers;
  return [...(first === 'exec' ? [] : ['exec']), ...wrappers, '"$@"'].join(' ');
}

/**
 * The last command of the pipeline that begins with the call: nothing may stand between our program and its output.
 * undefined where what it is piped into is more than simple commands.
 */
function endOfPipeline(commands: ShellCommand[], { index }: Call, script: string): ShellCommand | undefined {
  let last = commands[index]!;
  for (const next of commands.slice(index + 1)) {
    if (!['|', '|&'].includes(last.operator)) break;
    if (keywords.test(next.words[0]!.raw) || script.slice(last.stop, next.start).includes('(')) return undefined;
    last = next;
  }
  return last;
}

function spliced(text: string, from: number, to: number, by: string): string {
  return text.slice(0, from) + by + text.slice(to);
}
