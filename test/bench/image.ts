/** How the container runs: what the Dockerfile and manifests/deployment.yaml say, so that the bench measures the same. */
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { run } from '../cluster/command.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The container's environment: ENV of the image, then the plain values of the manifest. */
export async function containerEnvironment(): Promise<Record<string, string>> {
  const image = [...(await dockerfile()).matchAll(/^ENV (\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]);
  const manifest = parse(await readFile(join(root, 'manifests/deployment.yaml'), 'utf8'));
  const [container] = manifest.spec.template.spec.containers as { env: { name: string; value?: unknown }[] }[];
  const plain = container!.env
    .filter(({ value }) => value !== undefined)
    .map(({ name, value }) => [name, String(value)]);
  const all: Record<string, string> = Object.fromEntries([...image, ...plain]);
  if (!all.NODE_OPTIONS) throw new Error('manifests/deployment.yaml sets no NODE_OPTIONS');
  return all;
}

/**
 * The file to start for downdraft.ts, in the form in which the image has src/main: TypeScript, or JavaScript compiled
 * into `folder`. Throws when the Dockerfile's command is neither.
 */
export async function containerEntry(folder: string): Promise<string> {
  const entry = join(root, 'test/bench/downdraft.ts');
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
  await cp(join(root, 'src/inside'), join(out, 'src/inside'), {
    recursive: true,
    filter: (name) => !name.endsWith('.ts'),
  });
  await cp(join(root, 'package.json'), join(out, 'package.json'));
  await symlink(join(root, 'node_modules'), join(out, 'node_modules')).catch((error) => {
    // Compiled before, for another server of the same run.
    if (error.code !== 'EEXIST') throw error;
  });
  return join(out, 'test/bench/downdraft.js');
}

async function dockerfile(): Promise<string> {
  return await readFile(join(root, 'Dockerfile'), 'utf8');
}
