/**
 * The Python that runs inside an Airflow image, as text, and the command that starts it there.
 *
 * Nothing is installed into an image: the text travels as an argument of `sh -c`, in a pod's command or through exec. A text
 * is bootstrap.py with those modules of the package downdraft that a program needs, as its imports tell.
 */
import { existsSync, readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';

const bundles = new Map<string, string>();

/** The program that prints what an image is (probe.py). Read once. Throws when a file of ours is missing. */
export function probeScript(): string {
  return scriptOf('probe');
}

/** The program that asks an image which triggers it can take up (triggers.py). Read once. Throws when a file of ours is missing. */
export function takeUpScript(): string {
  return scriptOf('triggers');
}

/** The program that asks a running container for its database (ask.py). Read once. Throws when a file of ours is missing. */
export function askScript(): string {
  return scriptOf('ask');
}

/**
 * The program that answers with digests of settings (digests.py), keyed by `key`, in hexadecimal digits. `who`: whose
 * environment counts, that of the Airflow that runs in the container or that of our runner. Read once. Throws when a file of
 * ours is missing.
 */
export function digestsScript(who: 'airflow' | 'runner', key: string): string {
  if (!/^([0-9a-f]{2})+$/.test(key)) throw new Error('a key of digests has hexadecimal digits');
  return scriptOf('digests', who, key);
}

/** The warm runner (runner.py). Read once. Throws when a file of ours is missing. */
export function runnerScript(): string {
  return scriptOf('runner');
}

/** A text of JSON is one of Python, too. */
function scriptOf(program: string, ...given: string[]): string {
  const module = `downdraft.${program}`;
  let bundle = bundles.get(module);
  if (bundle === undefined) {
    bundle = `${read('bootstrap.py')}\nTEXTS = ${JSON.stringify(textsOf(module))}\n`;
    bundles.set(module, bundle);
  }
  return `${bundle}start(TEXTS, ${[module, ...given].map((text) => JSON.stringify(text)).join(', ')})\n`;
}

/** By path the text of a module and of all that it imports from the package, with the data that they read. */
function textsOf(module: string): Record<string, string> {
  const texts: Record<string, string> = {};
  const wanted = [module];
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    const path = pathOf(name);
    if (texts[path] !== undefined) continue;
    texts[path] = read(path);
    if (name.includes('.')) wanted.push(name.slice(0, name.lastIndexOf('.')));
    for (const [, imported] of texts[path].matchAll(/^ *from (downdraft[\w.]*) import /gm)) wanted.push(imported!);
    for (const [, folder, file] of texts[path].matchAll(/\bget_data\("([\w.]+)", "([\w.]+)"\)/g)) {
      const data = `${folder!.replaceAll('.', '/')}/${file}`;
      texts[data] = read(data);
    }
  }
  return texts;
}

function pathOf(module: string): string {
  const place = module.replaceAll('.', '/');
  const folder = `${place}/__init__.py`;
  return existsSync(new URL(folder, import.meta.url)) ? folder : `${place}.py`;
}

function read(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8');
}

const pieces = /.{1,64000}/g;

// The `airflow` on the PATH names the Python that has it; images with several Pythons have it in only one.
// Backquotes and not $(…): in a pod's command Kubernetes takes $(…) for a variable of its own.
const findPython = `
own=\`command -v airflow 2>/dev/null | xargs -r head -n 1 2>/dev/null | sed -n 's/^#! *\\([^ ]*python[^ ]*\\) *$/\\1/p'\`
for python in "$own" python3 python; do
  [ -n "$python" ] || continue
  if "$python" -c 'import importlib.util as u, sys; sys.path[:] = [p for p in sys.path if p]; sys.exit(u.find_spec("airflow") is None)' 2>/dev/null; then
    exec "$python" -u -c 'import base64, sys, zlib; exec(compile(zlib.decompress(base64.b64decode("".join(sys.argv[1:]))), "<downdraft>", "exec"))' "$@"
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
