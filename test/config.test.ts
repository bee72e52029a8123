import { describe, expect, it } from 'vitest';
import { ConfigError, configHelp, readConfig } from '../src/config.ts';

/** What readConfig makes of these variables, on a machine called guard-7 outside a cluster. */
function read(env: Record<string, string>, podNamespace?: string) {
  return readConfig({ env, podNamespace: () => podNamespace, hostname: () => 'guard-7' });
}

describe('configuration', () => {
  it('needs no variable at all', () => {
    expect(read({})).toEqual({
      namespace: 'downdraft',
      port: 8443,
      service: 'downdraft',
      airflowRepositories: ['apache/airflow'],
      registryCa: undefined,
      registryPlainHttp: [],
      runner: 'Copy',
      budgetMs: 3000,
      leaseSeconds: 15,
      pollMs: 500,
      noProgressMinutes: 30,
      longStepMinutes: 120,
      logLevel: 'info',
      identity: 'guard-7',
      kubeconfig: undefined,
      kubecontext: undefined,
      webhookUrl: undefined,
      certHosts: [],
      clientCa: undefined,
      clientNames: [],
    });
  });

  it('cannot be changed once read', () => {
    expect(Object.isFrozen(read({}))).toBe(true);
    expect(Object.isFrozen(read({}).airflowRepositories)).toBe(true);
  });

  it("takes the pod's namespace and name", () => {
    expect(read({ POD_NAME: 'downdraft-abc' }, 'guard')).toMatchObject({
      namespace: 'guard',
      identity: 'downdraft-abc',
    });
    expect(read({ DOWNDRAFT_NAMESPACE: 'own', DOWNDRAFT_IDENTITY: 'me', POD_NAME: 'x' }, 'guard')).toMatchObject({
      namespace: 'own',
      identity: 'me',
    });
  });

  it('reads lists, numbers and choices', () => {
    const env = {
      DOWNDRAFT_AIRFLOW_REPOSITORIES: 'apache/airflow, mirror.example/apache/airflow,',
      DOWNDRAFT_BUDGET_SECONDS: '0.5',
      DOWNDRAFT_RUNNER: 'OldPod',
      DOWNDRAFT_WEBHOOK_URL: 'https://127.0.0.1:8443',
      DOWNDRAFT_CERT_HOSTS: '127.0.0.1,::1',
    };
    expect(read(env)).toMatchObject({
      airflowRepositories: ['apache/airflow', 'mirror.example/apache/airflow'],
      budgetMs: 500,
      runner: 'OldPod',
      webhookUrl: 'https://127.0.0.1:8443',
      certHosts: ['127.0.0.1', '::1'],
    });
  });

  it('takes an empty variable for one that is not set', () => {
    expect(read({ DOWNDRAFT_PORT: '' }).port).toBe(8443);
  });

  it('names every wrong variable at once', () => {
    const env = {
      DOWNDRAFT_PORT: 'x',
      DOWNDRAFT_RUNNER: 'copy',
      DOWNDRAFT_BUDGET_SECONDS: '30',
      DOWNDRAFT_WEBHOOK_URL: 'http://a',
    };
    const attempt = () => read(env);
    expect(attempt).toThrow(ConfigError);
    expect(attempt).toThrow(
      [
        'DOWNDRAFT_PORT is "x", expected a port number',
        'DOWNDRAFT_RUNNER is "copy", expected one of Copy, OldPod',
        'DOWNDRAFT_BUDGET_SECONDS is "30", expected a number from 0.1 to 4',
        'DOWNDRAFT_WEBHOOK_URL is "http://a", expected a URL that begins with https://',
      ].join('\n'),
    );
  });

  it('says what to do when Kubernetes has set the port', () => {
    expect(() => read({ DOWNDRAFT_PORT: 'tcp://10.96.0.9:443' })).toThrow('enableServiceLinks: false');
  });

  it('has a help text with every variable and its default', () => {
    const help = configHelp();
    expect(help.match(/^ {2}DOWNDRAFT_/gm)).toHaveLength(20);
    expect(help).toContain('port that the webhook listens on (default: 8443)');
    expect(help).toContain('(default: POD_NAME, else the host name)');
  });
});
