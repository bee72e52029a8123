/**
 * Who we are to the API server, and where it is.
 *
 * In a Pod that is an address in the environment and two files, and is read here. Everything else (kubeconfig files, exec
 * plugins, client certificates, proxies) is the client library's; it is loaded only then, since loading it takes some
 * 80 MiB, more than all the rest of downdraft.
 */
import { readFileSync } from 'node:fs';
import type https from 'node:https';
import { createRequire } from 'node:module';
import { createSecureContext } from 'node:tls';
import type { KubeConfig } from '@kubernetes/client-node';

export interface Credentials {
  server: string;
  /** The context's own namespace; in a Pod, the Pod's. */
  namespace: string | undefined;
  /** The requests need the agent that `apply` sets, since it tunnels through a proxy. */
  proxied: boolean;
  /** Puts certificates and the Authorization header into a request. */
  apply(options: https.RequestOptions): Promise<void>;
}

export interface Source {
  /** A file. Without it: the Pod's service account, or what KUBECONFIG or the home folder says. */
  kubeconfig?: string;
  context?: string;
}

/** Reads the configuration; nothing is dialled yet. Throws when no cluster is configured. */
export function credentialsOf(source: Source): Credentials {
  const inPod = process.env.KUBERNETES_SERVICE_HOST && !process.env.KUBECONFIG && !source.kubeconfig;
  return inPod ? ofPod(process.env) : ofLibrary(source);
}

/** Kubelet writes a new token long before the old one ends; client-go, too, looks once a minute. */
const tokenMs = 60_000;

/** The service account of this Pod, from the folder that kubelet fills. Throws when there is none. */
export function ofPod(
  env: Record<string, string | undefined>,
  folder = '/var/run/secrets/kubernetes.io/serviceaccount',
): Credentials {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '443' } = env;
  const read = (name: string) => readFileSync(`${folder}/${name}`, 'utf8');
  const load = () => ({ token: read('token').trim(), ca: read('ca.crt'), at: performance.now() });
  let known = load();
  // One for all connections: made anew for each, it takes 100 KiB and a millisecond every time.
  let secureContext = createSecureContext({ ca: known.ca });
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: read('namespace').trim(),
    proxied: false,
    async apply(options) {
      if (performance.now() - known.at > tokenMs) {
        const { ca } = known;
        known = load();
        if (known.ca !== ca) secureContext = createSecureContext({ ca: known.ca });
      }
      // The agent tells connections apart by `ca`.
      Object.assign(options, { ca: known.ca, secureContext });
      options.headers = { ...(options.headers as Record<string, string>), Authorization: `Bearer ${known.token}` };
    },
  };
}

function ofLibrary({ kubeconfig, context }: Source): Credentials {
  const library = createRequire(import.meta.url)('@kubernetes/client-node') as typeof import('@kubernetes/client-node');
  const config: KubeConfig = new library.KubeConfig();
  if (kubeconfig) config.loadFromFile(kubeconfig);
  else config.loadFromDefault();
  if (context) config.setCurrentContext(context);
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error(`no cluster in the kubeconfig for context ${config.getCurrentContext() || '(none)'}`);
  return {
    server: cluster.server,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    proxied: Boolean(cluster.proxyUrl),
    apply: async (options) => await config.applyToHTTPSOptions(options),
  };
}
