/** How the container runs: what the Dockerfile and manifests/deployment.yaml say, so that the bench measures the same. */
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { run } from '../cluster/run/command.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The container's environment: ENV of the image, then the plain values of the manifest. */
export async function containerEnvironment(): Promise<Record<string, string>> {
  const image = [...(await dockerfile()).matchAll(/^ENV (\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]);
  const plain = (await containerOfManifest()).env
    .filter(({ value }) => value !== undefined)
    .map(({ name, value }) => [name, String(value)]);
  const all: Record<string, string> = Object.fromEntries([...image, ...plain]);
  if (!all.NODE_OPTIONS) throw new Error('manifests/deployment.yaml sets no NODE_OPTIONS');
  return all;
}

/** MiB that the container may take before the kernel ends it. */
export async function memoryLimitMiB(): Promise<number> {
  const { memory } = (await containerOfManifest()).resources.limits;
  const [, mebibytes] = /^(\d+)Mi$/.exec(memory) ?? [];
  if (mebibytes === undefined)
    throw new Error(`manifests/deployment.yaml limits memory to ${memory}, not to a number of Mi`);
  return Number(mebibytes);
}

interface Container {
  env: { name: string; value?: unknown }[];
  resources: { limits: { memory: string } };
}

async function containerOfManifest(): Promise<Container> {
  const manifest = parse(await readFile(join(root, 'manifests/deployment.yaml'), 'utf8'));
  return manifest.spec.template.spec.containers[0];
}

/**
 * The file to start for a program of the bench, in the form in which the image has src/main: TypeScript, or JavaScript
 * compiled into `folder`. Throws when the Dockerfile's command is neither.
 */
export async function containerEntry(folder: string, program: 'downdraft' | 'inpod'): Promise<string> {
  const entry = join(root, `test/bench/${program}.ts`);
  const [, form] = /^CMD \[.*main\.(ts|js)"\]$/m.exec(await dockerfile()) ?? [];
  if (form === undefined) throw new Error('the Dockerfile starts neither main.ts nor main.js');
  if (form === 'ts') return entry;
  const out = join(folder, 'compiled');
  const compilerOptions = {
    noEmit: false,
    noCheck: true,
    outDir: out,
    rootDir: root,
    rewriteRelativeImportExtensions: true,
    typeRoots: [join(root, 'node_modules/@types')],
  };
  const settings = { extends: join(root, 'tsconfig.json'), compilerOptions, include: [], files: [entry] };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { cwd: root });
  for (const name of ['bootstrap.py', 'downdraft'])
    await cp(join(root, 'src/inside', name), join(out, 'src/inside', name), { recursive: true });
  await cp(join(root, 'package.json'), join(out, 'package.json'));
  await symlink(join(root, 'node_modules'), join(out, 'node_modules')).catch((error) => {
    // Compiled before, for another server of the same run.
    if (error.code !== 'EEXIST') throw error;
  });
  return join(out, `test/bench/${program}.js`);
}

async function dockerfile(): Promise<string> {
  return await readFile(join(root, 'Dockerfile'), 'utf8');
}
