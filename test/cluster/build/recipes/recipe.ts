import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Progress } from '../../run/cache.ts';
import { run } from '../../run/command.ts';

/** How an image is made. */
export interface Recipe {
  repository: string;
  /** Left out: its key. */
  tag?: string;
  /** The name of the recipe it stands on. */
  base?: string;
  /** All that goes into it besides its base; its key is made of that. */
  ingredients(): Promise<(string | Uint8Array)[]> | (string | Uint8Array)[];
  /** Makes it and pushes it to `workshop.target`. */
  make(workshop: Workshop): Promise<void>;
}

/** Where an image is made: an empty folder, the programs, and what to push to and stand on (host:port/name:tag). */
export interface Workshop {
  dir: string;
  bin: string;
  target: string;
  from: string | undefined;
  onProgress: Progress;
}

/** What an image says of itself. */
export interface ImageConfig {
  env?: Record<string, string>;
  labels?: Record<string, string>;
  entrypoint?: string[];
  cmd?: string[];
  user?: string;
  workdir?: string;
}

/** Writes files (path in the image → text) below a root folder, executable. */
export async function writeScripts(root: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { mode: 0o755 });
  }
}

/** Pushes the image: the base, if there is one, the root folder as a layer on it, and its config. */
export async function pushLayer(
  workshop: Workshop,
  root: string,
  config: ImageConfig,
  exclude: string[] = [],
): Promise<void> {
  const { dir, bin, target, from } = workshop;
  const layer = join(dir, 'layer.tar.zst');
  // zstd: packed and unpacked several times as fast as gzip.
  const excluded = exclude.map((path) => `--exclude=${path}`);
  await run('tar', ['-C', root, '--numeric-owner', ...excluded, '-I', 'zstd -T0 -3', '-cf', layer, '.'], {
    env: process.env,
    timeoutMs: 600_000,
  });
  const crane = join(bin, 'crane');
  const below = from ? ['--base', from] : ['--oci-empty-base'];
  const options = { env: process.env, timeoutMs: 600_000 };
  await run(crane, ['append', '--insecure', ...below, '--new_layer', layer, '--new_tag', target], options);
  await run(crane, ['mutate', '--insecure', ...flagsOf(config), '--tag', target, target], options);
}

function flagsOf(config: ImageConfig): string[] {
  const pairs = (flag: string, values: Record<string, string> = {}) =>
    Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`]);
  return [
    ...pairs('--env', config.env),
    ...pairs('--label', config.labels),
    ...(config.entrypoint ? ['--entrypoint', config.entrypoint.join(',')] : []),
    ...(config.cmd ? ['--cmd', config.cmd.join(',')] : []),
    ...(config.user ? ['--user', config.user] : []),
    ...(config.workdir ? ['--workdir', config.workdir] : []),
  ];
}
