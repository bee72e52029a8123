/**
 * What a pod got from injectors (meshes, Vault's agent) and from tools, told from what its template says. A copy is
 * injected anew when it is created, so it keeps what asks for that or declines it, and leaves out what came of it.
 */
import type { Metadata, PodObject, PodSpec, PodTemplate } from '../model/kubernetes.ts';
import { addedByInjectors } from './main-container.ts';

type Annotations = Readonly<Record<string, string>>;

/** By these an injector marks a pod that it has been at; with them on it, it would pass the copy by. */
const marks = [
  'sidecar.istio.io/status',
  'linkerd.io/proxy-version',
  'vault.hashicorp.com/agent-inject-status',
  'consul.hashicorp.com/connect-inject-status',
  'consul.hashicorp.com/transparent-proxy-status',
  'kuma.io/sidecar-injected',
  'dapr.io/injected',
];

/** The part before the slash of what belongs to one pod, to one rollout or to the tool that owns the object. */
const ofOthers = [
  'downdraft.dev',
  'checksum',
  'kubectl.kubernetes.io',
  'argocd.argoproj.io',
  'helm.sh',
  'meta.helm.sh',
  'fluxcd.io',
  'kapp.k14s.io',
  'cattle.io',
  'config.k8s.io',
  'prometheus.io',
  'ad.datadoghq.com',
  'reloader.stakater.com',
  'cni.projectcalico.org',
  'k8s.ovn.org',
  'openshift.io',
];

/** Single names of the same kind. */
const single = [
  'k8s.v1.cni.cncf.io/network-status',
  'k8s.v1.cni.cncf.io/networks-status',
  'kubernetes.io/limit-ranger',
  'kubernetes.io/psp',
  'kubernetes.io/config.mirror',
  'linkerd.io/created-by',
  'linkerd.io/trust-root-sha256',
];

const apparmor = 'container.apparmor.security.beta.kubernetes.io/';

/** Whose labels tell injectors and identities what to do; no Service and no ReplicaSet selects by them. */
const configuring = [
  'istio.io',
  'linkerd.io',
  'kuma.io',
  'consul.hashicorp.com',
  'vault.hashicorp.com',
  'azure.workload.identity',
  'admission.datadoghq.com',
  'dapr.io',
];

/** Labels among those that injectors write themselves. */
const written = ['security.istio.io/tlsMode', 'linkerd.io/control-plane-ns', 'linkerd.io/workload-ns'];

/**
 * Annotations of a copy with these containers. Where the template is known, only what it names: the rest was added at
 * CREATE, and is added again.
 */
export function keptAnnotations(
  metadata: Partial<Metadata> | undefined,
  containers: readonly string[],
  template?: PodTemplate,
): Record<string, string> {
  const named = template && (template.metadata?.annotations ?? {});
  return chosen(metadata?.annotations, named, (name) => {
    if (name.startsWith(apparmor)) return containers.includes(name.slice(apparmor.length));
    return !isOfOthers(name);
  });
}

/** Whether a name belongs to one pod, to one rollout or to a tool that owns objects by it. */
export function isOfOthers(name: string): boolean {
  return marks.includes(name) || single.includes(name) || isUnder(name, ofOthers);
}

/** Labels of a copy. Only those that configure injectors: by any other a Service might take it for one of its own. */
export function keptLabels(metadata: Partial<Metadata> | undefined, template?: PodTemplate): Record<string, string> {
  const named = template && (template.metadata?.labels ?? {});
  return chosen(
    metadata?.labels,
    named,
    (name) =>
      isUnder(name, configuring) && !written.includes(name) && !/^service\.istio\.io\/|^linkerd\.io\/proxy-/.test(name),
  );
}

function chosen(
  given: Annotations | undefined,
  named: Annotations | undefined,
  keeps: (name: string) => boolean,
): Record<string, string> {
  const entries = Object.entries(given ?? {}).filter(([name]) => (!named || Object.hasOwn(named, name)) && keeps(name));
  return Object.fromEntries(entries);
}

/** Whether the part before the slash is one of these domains, or below it. */
function isUnder(name: string, domains: readonly string[]): boolean {
  const domain = name.slice(0, Math.max(0, name.indexOf('/')));
  return domains.some((one) => domain === one || domain.endsWith(`.${one}`));
}

export interface Injected {
  container(name: string): boolean;
  volume(name: string): boolean;
}

/** What injectors have added to a pod. Of a template nothing: whatever stands there was written by its owner. */
export function injectedInto({ metadata, spec }: PodObject, template: PodTemplate | undefined): Injected {
  const listed = listedByIstio(metadata.annotations);
  const marked = marks.some((mark) => metadata.annotations?.[mark] !== undefined);
  const own = template && namesIn(template.spec);
  const claims = new Set((spec.volumes ?? []).filter((v) => v.persistentVolumeClaim).map(({ name }) => name));
  const foreign = (name: string, known: RegExp) =>
    !own?.has(name) && (listed.has(name) || known.test(name) || (own !== undefined && marked));
  return {
    container: (name) => foreign(name, addedByInjectors),
    // The claims of a StatefulSet stand in no template.
    volume: (name) => isToken(name) || (!claims.has(name) && foreign(name, addedVolumes)),
  };
}

/** The API server injects the service account's token anew. */
function isToken(volume: string): boolean {
  return volume.startsWith('kube-api-access-');
}

const addedVolumes =
  /^(istio-(envoy|data|podinfo|token|ca-secret|certs|ca-crl)|istiod-ca-cert|workload-(socket|certs)|credential-socket|linkerd-[\w-]+|vault-secrets|consul-connect-[\w-]+|kuma-sidecar-[\w-]+)$/;

function namesIn({ containers, initContainers = [], volumes = [] }: PodSpec): Set<string> {
  return new Set([...containers, ...initContainers, ...volumes].map(({ name }) => name));
}

/** Istio says in its mark what it has added. Anybody may have written it: only names are taken from it. */
function listedByIstio(annotations: Annotations | undefined): Set<string> {
  try {
    const status = JSON.parse(annotations?.['sidecar.istio.io/status'] ?? '{}') as Record<string, unknown>;
    const lists = [status.containers, status.initContainers, status.volumes].filter(Array.isArray);
    return new Set(lists.flat().filter((name) => typeof name === 'string'));
  } catch {
    return new Set();
  }
}
