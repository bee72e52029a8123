/** The programs that are measured beside downdraft, from their pinned packages; cold about 3 minutes, then cached. */
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, contentKey, type Progress } from '../cluster/run/cache.ts';
import { run } from '../cluster/run/command.ts';

const goFolder = join(import.meta.dirname, 'go');
const peprFolder = join(import.meta.dirname, 'pepr');

/** A folder with `webhook` (controller-runtime) and `load` (the load). Throws when Go is missing or the build fails. */
export async function ensureGo(onProgress: Progress): Promise<string> {
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' };
  const { stdout: go } = await run('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'], { env, cwd: goFolder });
  const sources = ['go.mod', 'go.sum', 'webhook/main.go', 'load/main.go'];
  const parts = await Promise.all(sources.map((file) => readFile(join(goFolder, file))));
  const build = async (dir: string) => {
    onProgress('building the Go webhook and the load from their Go modules');
    const flags = ['-trimpath', '-buildvcs=false', '-mod=readonly', '-ldflags', '-s -w'];
    const args = ['build', ...flags, '-o', `${dir}/`, './webhook', './load'];
    await run('go', args, { cwd: goFolder, env, timeoutMs: 30 * 60_000 });
  };
  return await cached('built', `bench-${contentKey(go, ...parts)}`, build, onProgress);
}

/** A folder with Pepr installed and our module for it, module.js. */
export async function ensurePepr(onProgress: Progress): Promise<string> {
  const files = ['package.json', 'package-lock.json', '.npmrc', 'module.js'];
  const parts = await Promise.all(files.map((file) => readFile(join(peprFolder, file))));
  const install = async (dir: string) => {
    onProgress('installing Pepr');
    for (const file of files) await cp(join(peprFolder, file), join(dir, file));
    // Its peer dependencies are those of its command line, which does not run here.
    const args = ['ci', '--ignore-scripts', '--omit=peer', '--omit=dev', '--legacy-peer-deps', '--no-progress'];
    await run('npm', args, { cwd: dir, timeoutMs: 10 * 60_000 });
  };
  return await cached('built', `pepr-${contentKey(...parts)}`, install, onProgress);
}
