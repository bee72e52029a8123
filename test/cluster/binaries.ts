/** The cluster's programs, built from the pinned Go modules in go/. Cold about 10 minutes on 2 cores, then cached. */
import { link, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cached, contentKey, type Progress } from './cache.ts';
import { run } from './command.ts';

interface Module {
  folder: string;
  ldflags: string[];
  programs: Record<string, string>;
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
  const key = contentKey(go, ...pins, JSON.stringify([flags, module.programs]));
  return await cached(
    'built',
    `${module.folder}-${key}`,
    async (dir) => {
      for (const [program, path] of Object.entries(module.programs)) {
        onProgress(`building ${program} from its Go module`);
        await run('go', ['build', ...flags, '-o', join(dir, program), path], {
          cwd,
          env: buildEnv(),
          timeoutMs: 45 * 60_000,
        });
      }
    },
    onProgress,
  );
}

/** A person's own GOFLAGS must not change what is built from the same pins. */
function buildEnv(): NodeJS.ProcessEnv {
  return { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' };
}
