/**
 * The Python that runs inside an Airflow image, as text, and the command that starts it there.
 *
 * Nothing is installed into an image: the text travels as an argument of `sh -c`, in a pod's command or through exec.
 */
import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';

const joined = new Map<string, string>();

/** The program that prints what an image is (probe.py). Read once. Throws when a file of ours is missing. */
export function probeScript(): string {
  return join('chain.py', 'probe.py');
}

/** The program that asks an image which triggers it can take up (takeup.py). Read once. Throws when a file of ours is missing. */
export function takeUpScript(): string {
  return join('chain.py', 'takeup.py');
}

/** The program that asks a running container for its database (ask.py). Read once. Throws when a file of ours is missing. */
export function askScript(): string {
  return join(...answering, 'ask.py');
}

/** The files of a program that is run by exec, before its own. */
const answering = ['chain.py', 'database.py', 'environment.py', 'answering.py'];

/**
 * The program that answers with digests of settings (digests.py), keyed by `key`, in hexadecimal digits. `who`: whose
 * environment counts, that of the Airflow that runs in the container or that of our runner. Read once. Throws when a file of
 * ours is missing.
 */
export function digestsScript(who: 'airflow' | 'runner', key: string): string {
  if (!/^([0-9a-f]{2})+$/.test(key)) throw new Error('a key of digests has hexadecimal digits');
  return `KEY, WHO = "${key}", "${who}"\n${join(...answering, 'digests.py')}`;
}

/** The warm runner (runner.py). Read once. Throws when a file of ours is missing. */
export function runnerScript(): string {
  const looking = ['chain.py', 'database.py', 'environment.py', 'waiting.py', hazards, 'hazards.py', 'inspection.py'];
  const guarding = ['guard.py', 'unfinished.py'];
  const stepping = ['blockers.py', 'activity.py', 'progress.py', 'steps.py', 'schema.py'];
  const copying = ['server.py', 'marks.py', 'copyable.py', 'copy.py', 'takeback.py'];
  const dumping = ['children.py', 'dumpable.py', 'dumpfolder.py', 'dump.py', 'restore.py', 'dumpmysql.py'];
  return join(
    ...looking,
    ...guarding,
    ...stepping,
    rowEffects,
    'counting.py',
    ...copying,
    ...dumping,
    'convert.py',
    'renames.py',
    'confs.py',
    'repair.py',
    'verify.py',
    'migrate.py',
    'folder.py',
    'runner.py',
  );
}

/** Data and no program: each becomes the value of a name. */
const hazards = 'hazards.json';
const rowEffects = 'rows.json';
const namesOfData: Record<string, string> = { [hazards]: 'HAZARDS', [rowEffects]: 'ROW_EFFECTS' };

function join(...names: string[]): string {
  const key = names.join();
  let text = joined.get(key);
  if (text === undefined) {
    text = names.map(read).join('\n');
    joined.set(key, text);
  }
  return text;
}

function read(name: string): string {
  const text = readFileSync(new URL(name, import.meta.url), 'utf8');
  const given = namesOfData[name];
  return given ? `${given} = json.loads(r'''${text}''')` : text;
}

const pieces = /.{1,64000}/g;

// The `airflow` on the PATH names the Python that has it; images with several Pythons have it in only one.
// Backquotes and not $(…): in a pod's command Kubernetes takes $(…) for a variable of its own.
const findPython = `
own=\`command -v airflow 2>/dev/null | xargs -r head -n 1 2>/dev/null | sed -n 's/^#! *\\([^ ]*python[^ ]*\\) *$/\\1/p'\`
for python in "$own" python3 python; do
  [ -n "$python" ] || continue
  if "$python" -c 'import importlib.util as u, sys; sys.path[:] = [p for p in sys.path if p]; sys.exit(u.find_spec("airflow") is None)' 2>/dev/null; then
    exec "$python" -u -c 'import base64, sys, zlib; exec(compile(zlib.decompress(base64.b64decode("".join(sys.argv[1:]))), "downdraft", "exec"))' "$@"
  fi
done
echo "downdraft: no Python of this image can import airflow (tried: $own python3 python)" >&2
exit 127
`.trim();

/**
 * The argv that runs a script with the image's own Python: that of its `airflow` executable, else python3, else python.
 * Ends with 127 and one line on stderr when none of them can import airflow. Packed and in pieces, since Linux takes no
 * argument of more than 128 KiB (MAX_ARG_STRLEN).
 */
export function shellCommand(script: string): string[] {
  const packed = deflateSync(script, { level: 9 }).toString('base64');
  return ['sh', '-c', findPython, 'downdraft', ...(packed.match(pieces) ?? [])];
}
