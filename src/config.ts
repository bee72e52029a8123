/** Environment → Config. One table says what there is; the checks and `--help` are made from it. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { between, dnsLabel, httpsUrl, list, oneOf, portNumber } from './configvalues.ts';

export interface Config {
  namespace: string;
  port: number;
  service: string;
  airflowRepositories: readonly string[];
  /** File with PEM certificates. */
  registryCa: string | undefined;
  registryPlainHttp: readonly string[];
  runner: 'Copy' | 'OldPod';
  budgetMs: number;
  leaseSeconds: number;
  pollMs: number;
  noProgressMinutes: number;
  longStepMinutes: number;
  logLevel: string;
  identity: string;
  kubeconfig: string | undefined;
  kubecontext: string | undefined;
  /** Base URL that webhook configurations point to instead of the Service. */
  webhookUrl: string | undefined;
  certHosts: readonly string[];
  /** File with PEM certificates. */
  clientCa: string | undefined;
  clientNames: readonly string[];
}

/** Where values come from; tests pass their own. */
export interface Sources {
  env: Record<string, string | undefined>;
  /** The namespace that Kubernetes writes into every pod; undefined outside of one. */
  podNamespace(): string | undefined;
  hostname(): string;
}

/** Lists every wrong variable, one per line. main prints it and exits with code 2. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

interface Setting<T> {
  variable: string;
  meaning: string;
  /** What holds when the variable is not set; a function where it depends on the place. Missing: undefined. */
  initial?: string | ((sources: Sources) => string);
  /** For --help, where `initial` is a function. */
  initially?: string;
  /** Turns text into the value; throws with what is expected. */
  read(text: string): T;
}

type Settings = { [Key in keyof Config]: Setting<Config[Key]> };

const settings: Settings = {
  namespace: {
    variable: 'DOWNDRAFT_NAMESPACE',
    meaning: 'namespace of downdraft itself',
    initial: ({ podNamespace }) => podNamespace() ?? 'downdraft',
    initially: "the pod's, else downdraft",
    read: dnsLabel,
  },
  port: {
    variable: 'DOWNDRAFT_PORT',
    meaning: 'port that the webhook listens on',
    initial: '8443',
    read: portNumber,
  },
  service: {
    variable: 'DOWNDRAFT_SERVICE',
    meaning: "name of the webhook's Service",
    initial: 'downdraft',
    read: dnsLabel,
  },
  airflowRepositories: {
    variable: 'DOWNDRAFT_AIRFLOW_REPOSITORIES',
    meaning: 'repositories whose tags are Airflow versions, by commas; without a registry: on any',
    initial: 'apache/airflow',
    read: list,
  },
  registryCa: {
    variable: 'DOWNDRAFT_REGISTRY_CA',
    meaning: 'file with PEM certificates of registries behind a CA of their own',
    read: (text) => text,
  },
  registryPlainHttp: {
    variable: 'DOWNDRAFT_REGISTRY_PLAIN_HTTP',
    meaning: 'registries (host:port) reached over plain HTTP, comma-separated',
    initial: '',
    read: list,
  },
  runner: {
    variable: 'DOWNDRAFT_RUNNER',
    meaning: 'where the reverse scripts run: Copy (of an old pod) or OldPod',
    initial: 'Copy',
    read: oneOf('Copy', 'OldPod'),
  },
  budgetMs: {
    variable: 'DOWNDRAFT_BUDGET_SECONDS',
    meaning: 'time in which one review is answered; 0.1 to 4, less than the timeoutSeconds of the webhooks',
    initial: '3',
    read: (text) => Math.round(between(0.1, 4)(text) * 1000),
  },
  leaseSeconds: {
    variable: 'DOWNDRAFT_LEASE_SECONDS',
    meaning: 'lease duration in seconds: after so long without a renewal another replica takes over',
    initial: '15',
    read: between(3, 300),
  },
  pollMs: {
    variable: 'DOWNDRAFT_POLL_MS',
    meaning: 'how often a release under way is looked at',
    initial: '500',
    read: between(50, 60_000),
  },
  noProgressMinutes: {
    variable: 'DOWNDRAFT_NO_PROGRESS_MINUTES',
    meaning: 'minutes without progress of a step until a person is asked to decide (Stalled)',
    initial: '30',
    read: between(1, 10_000),
  },
  longStepMinutes: {
    variable: 'DOWNDRAFT_LONG_STEP_MINUTES',
    meaning: 'minutes of one step until a person is asked to decide, although it makes progress',
    initial: '120',
    read: between(1, 10_000),
  },
  logLevel: {
    variable: 'DOWNDRAFT_LOG_LEVEL',
    meaning: 'trace, debug, info, warn, error, fatal or silent',
    initial: 'info',
    read: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
  },
  identity: {
    variable: 'DOWNDRAFT_IDENTITY',
    meaning: 'name of this replica in the lease',
    initial: ({ env, hostname }) => env.POD_NAME || hostname(),
    initially: 'POD_NAME, else the host name',
    read: (text) => text,
  },
  kubeconfig: {
    variable: 'DOWNDRAFT_KUBECONFIG',
    meaning: 'kubeconfig file; only outside a cluster',
    read: (text) => text,
  },
  kubecontext: {
    variable: 'DOWNDRAFT_KUBECONTEXT',
    meaning: 'context of that file; only outside a cluster',
    read: (text) => text,
  },
  webhookUrl: {
    variable: 'DOWNDRAFT_WEBHOOK_URL',
    meaning: 'base URL by which the API server reaches us instead of the Service; only outside a cluster',
    read: httpsUrl,
  },
  certHosts: {
    variable: 'DOWNDRAFT_CERT_HOSTS',
    meaning: 'further host names and addresses of the serving certificate, by commas',
    initial: '',
    read: list,
  },
  clientCa: {
    variable: 'DOWNDRAFT_CLIENT_CA',
    meaning:
      'file with PEM certificates; reviews are then taken only with a client certificate that one of them has signed',
    read: (text) => text,
  },
  clientNames: {
    variable: 'DOWNDRAFT_CLIENT_NAMES',
    meaning: 'common names of such client certificates, by commas; none: any',
    initial: '',
    read: list,
  },
};

/** Reads the configuration, frozen. Throws ConfigError naming every wrong variable at once. */
export function readConfig(sources: Sources = processSources()): Config {
  const wrong: string[] = [];
  const values = Object.entries(settings).map(([key, setting]) => {
    const given = sources.env[setting.variable] || undefined;
    try {
      const text = given ?? initialOf(setting, sources);
      return [key, text === undefined ? undefined : setting.read(text)];
    } catch (error) {
      wrong.push(`${setting.variable} is "${given}", expected ${(error as Error).message}`);
      return [key, undefined];
    }
  });
  if (wrong.length > 0) throw new ConfigError(wrong.join('\n'));
  return Object.freeze(Object.fromEntries(values) as Config);
}

/** The text of --help. */
export function configHelp(): string {
  const width = Math.max(...Object.values(settings).map((s) => s.variable.length));
  const lines = Object.values(settings).map((s) => {
    const initial = s.initially ?? (typeof s.initial === 'string' && s.initial ? s.initial : undefined);
    return `  ${s.variable.padEnd(width)}  ${s.meaning}${initial ? ` (default: ${initial})` : ''}`;
  });
  return ['Environment variables:', ...lines, ''].join('\n');
}

function processSources(): Sources {
  return { env: process.env, podNamespace, hostname };
}

function podNamespace(): string | undefined {
  try {
    return readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/namespace', 'utf8').trim() || undefined;
  } catch {
    return undefined; // not in a pod, or one without a service account
  }
}

function initialOf(setting: Setting<unknown>, sources: Sources): string | undefined {
  return typeof setting.initial === 'function' ? setting.initial(sources) : setting.initial;
}
