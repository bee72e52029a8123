/** The cluster's programs, built from the pinned Go modules in go/. Cold about 10 minutes on 2 cores, then cached. */

import { cp, link, mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cached, contentKey, type Progress } from '../run/cache.ts';
import { run } from '../run/command.ts';

interface Module {
  folder: string;
  ldflags: string[];
  /** Program → its package. A package that is named twice is built once. */
  programs: Record<string, string>;
  /** A module's folder that is kept beside the programs: its name there → the module, the folder in it. */
  files?: Record<string, [module: string, folder: string]>;
}

const KUBERNETES = 'v1.34.4';

// Without these the API server reports v0.0.0, and helm refuses charts that ask for a Kubernetes version.
const kubernetesVersion = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((path) => [
  `-X ${path}.gitVersion=${KUBERNETES}`,
  `-X ${path}.gitMajor=1`,
  `-X ${path}.gitMinor=34`,
  `-X ${path}.gitTreeState=clean`,
]);

const kubernetesPrograms = [
  'kube-apiserver',
  'kubectl',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
];

// The smallest first, so that a broken set-up shows within seconds.
const modules: Module[] = [
  { folder: 'crane', ldflags: [], programs: { crane: 'github.com/google/go-containerregistry/cmd/crane' } },
  { folder: 'etcd', ldflags: [], programs: { etcd: 'go.etcd.io/etcd/server/v3' } },
  {
    folder: 'kubernetes',
    ldflags: kubernetesVersion,
    programs: Object.fromEntries(kubernetesPrograms.map((name) => [name, `k8s.io/kubernetes/cmd/${name}`])),
  },
  {
    folder: 'helm',
    ldflags: ['-X helm.sh/helm/v3/internal/version.version=v3.19.2'],
    programs: { helm: 'helm.sh/helm/v3/cmd/helm' },
  },
  { folder: 'coredns', ldflags: [], programs: { coredns: 'github.com/coredns/coredns' } },
];

/** Deploy tools that only their own tests need: built when asked for, about 2 and 4 minutes cold on 2 cores. */
const tools = {
  helm4: {
    folder: 'helm4',
    ldflags: ['-X helm.sh/helm/v4/internal/version.version=v4.3.1'],
    programs: { helm4: 'helm.sh/helm/v4/cmd/helm' },
  },
  // One program that is what it is called; `argocd-crds` are its kinds.
  argocd: {
    folder: 'argocd',
    ldflags: ['-X github.com/argoproj/argo-cd/v3/common.version=3.1.16'],
    programs: {
      'argocd-repo-server': 'github.com/argoproj/argo-cd/v3/cmd',
      'argocd-application-controller': 'github.com/argoproj/argo-cd/v3/cmd',
    },
    files: { 'argocd-crds': ['github.com/argoproj/argo-cd/v3', 'manifests/crds'] },
  },
} satisfies Record<string, Module>;

export type Tool = keyof typeof tools;

/**
 * A folder with one deploy tool. helm4: the program helm4. argocd: argocd-repo-server, argocd-application-controller and
 * the folder argocd-crds. Throws when Go is missing or the build fails.
 */
export async function ensureTool(tool: Tool, onProgress: Progress = () => {}): Promise<string> {
  return await buildModule(tools[tool], await goVersion(), onProgress);
}

/**
 * A folder with every program of the cluster: kube-apiserver, kube-controller-manager, kube-scheduler, kubelet,
 * kube-proxy, kubectl, etcd, helm, crane, coredns. Throws when Go is missing or a build fails.
 */
export async function ensureBinaries(onProgress: Progress = () => {}): Promise<string> {
  const go = await goVersion();
  const folders: string[] = [];
  for (const module of modules) folders.push(await buildModule(module, go, onProgress));
  return await cached('bin', contentKey(...folders.map((folder) => basename(folder))), async (dir) => {
    for (const folder of folders) {
      for (const program of await readdir(folder)) await link(join(folder, program), join(dir, program));
    }
  });
}

async function goVersion(): Promise<string> {
  try {
    return (await run('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'], { env: buildEnv() })).stdout;
  } catch (error) {
    throw new Error('the test cluster builds its programs with Go 1.24 or newer, and `go` does not run here', {
      cause: error,
    });
  }
}

async function buildModule(module: Module, go: string, onProgress: Progress): Promise<string> {
  const cwd = join(import.meta.dirname, 'go', module.folder);
  const flags = ['-trimpath', '-buildvcs=false', '-mod=readonly', '-ldflags', ['-s -w', ...module.ldflags].join(' ')];
  const pins = await Promise.all(['go.mod', 'go.sum'].map((file) => readFile(join(cwd, file))));
  const what = [flags, module.programs, ...(module.files ? [module.files] : [])];
  const key = contentKey(go, ...pins, JSON.stringify(what));
  return await cached(
    'built',
    `${module.folder}-${key}`,
    async (dir) => {
      const env = buildEnv();
      const built = new Map<string, string>();
      for (const [program, path] of Object.entries(module.programs)) {
        const output = join(dir, program);
        const same = built.get(path);
        if (same) {
          await link(same, output);
          continue;
        }
        onProgress(`building ${program} from its Go module`);
        await run('go', ['build', ...flags, '-o', output, path], { cwd, env, timeoutMs: 45 * 60_000 });
        built.set(path, output);
      }
      for (const [name, [path, folder]] of Object.entries(module.files ?? {}))
        await copyOut(cwd, path, folder, join(dir, name));
    },
    onProgress,
  );
}

/** Copies a folder of a module's own files; a module in Go's cache is read-only, the copy is not. */
async function copyOut(cwd: string, path: string, folder: string, to: string): Promise<void> {
  const args = ['list', '-mod=readonly', '-m', '-f', '{{.Dir}}', path];
  const { stdout } = await run('go', args, { cwd, env: buildEnv() });
  await mkdir(to);
  for (const name of await readdir(join(stdout.trim(), folder)))
    await cp(join(stdout.trim(), folder, name), join(to, name), { mode: 0 });
}

/** A person's own GOFLAGS must not change what is built from the same pins. */
function buildEnv(): NodeJS.ProcessEnv {
  return { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' };
}
