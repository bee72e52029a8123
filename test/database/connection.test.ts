// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what Airflow expands looks like a template
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connectionOf, referencesOf } from '../../src/database/connection.ts';
import type { ContainerSpec, EnvironmentSource, EnvironmentVariable } from '../../src/release/model/kubernetes.ts';

const name = 'AIRFLOW__DATABASE__SQL_ALCHEMY_CONN';
const core = 'AIRFLOW__CORE__SQL_ALCHEMY_CONN';
const schema = 'AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA';
const plain = 'postgresql://u:p@h/d';

const secrets: Record<string, Record<string, string>> = {
  'af-metadata': { connection: plain, password: 'Zq7', empty: '', dollar: 'postgresql://u:$DB_PASS@h/d' },
  'af-env': { [name]: 'postgresql://from/secret', SQL_ALCHEMY_CONN: 'postgresql://by/prefix' },
};
const configMaps: Record<string, Record<string, string>> = {
  'af-config': { host: 'pg', [name]: 'postgresql://from/configmap' },
};
const lookup = { secret: (n: string) => secrets[n], configMap: (n: string) => configMaps[n] };

const container = (env: EnvironmentVariable[], envFrom: EnvironmentSource[] = []): ContainerSpec => ({
  name: 'scheduler',
  env,
  envFrom,
});
const value = (variable: string, text: string): EnvironmentVariable => ({ name: variable, value: text });
const fromSecret = (variable: string, key: string, object = 'af-metadata', optional = false): EnvironmentVariable => ({
  name: variable,
  valueFrom: { secretKeyRef: { name: object, key, optional } },
});
const fromMap = (variable: string, key: string, object = 'af-config'): EnvironmentVariable => ({
  name: variable,
  valueFrom: { configMapKeyRef: { name: object, key } },
});
const fromField = (variable: string): EnvironmentVariable => ({
  name: variable,
  valueFrom: { fieldRef: { fieldPath: 'status.podIP' } },
});

describe('S0-17: the connection is the one that the pod has', () => {
  it.each<[string, EnvironmentVariable[], EnvironmentSource[], string]>([
    ['a plain value', [value(name, plain)], [], plain],
    ['the chart: a key of a Secret', [fromSecret(name, 'connection')], [], plain],
    ['a key of a ConfigMap', [fromMap(name, name)], [], 'postgresql://from/configmap'],
    ['the deprecated name alone', [fromSecret(core, 'connection')], [], plain],
    ['both names: the new one', [value(core, 'postgresql://old'), value(name, plain)], [], plain],
    ['given twice: the later', [value(name, 'postgresql://a'), value(name, 'postgresql://b')], [], 'postgresql://b'],
    ['envFrom a Secret', [], [{ secretRef: { name: 'af-env' } }], 'postgresql://from/secret'],
    [
      'envFrom with a prefix',
      [],
      [{ prefix: 'AIRFLOW__DATABASE__', secretRef: { name: 'af-env' } }],
      'postgresql://by/prefix',
    ],
    [
      'two of envFrom: the later',
      [],
      [{ secretRef: { name: 'af-env' } }, { configMapRef: { name: 'af-config' } }],
      'postgresql://from/configmap',
    ],
    ['env before envFrom', [value(name, plain)], [{ secretRef: { name: 'af-env' } }], plain],
    [
      'an optional key that is missing leaves the earlier one',
      [value(name, plain), fromSecret(name, 'nope', 'af-metadata', true)],
      [],
      plain,
    ],
    [
      'an optional Secret that is missing leaves envFrom',
      [fromSecret(name, 'x', 'gone', true)],
      [{ secretRef: { name: 'gone', optional: true } }, { secretRef: { name: 'af-env' } }],
      'postgresql://from/secret',
    ],
    ['_CMD beside the plain form does not count', [value(`${name}_CMD`, 'cat x'), value(name, plain)], [], plain],
    ['_CMD of the deprecated name neither', [value(`${core}_CMD`, 'cat x'), value(name, plain)], [], plain],
    ['a fieldRef that has nothing to do with it', [fromField('POD_IP'), value(name, plain)], [], plain],
    ['a missing Secret that has nothing to do with it', [fromSecret('X', 'x', 'gone'), value(name, plain)], [], plain],
  ])('%s', (_, env, envFrom, url) => {
    expect(connectionOf(container(env, envFrom), lookup)).toEqual({ url });
  });
});

describe('references to other variables', () => {
  it.each<[string, EnvironmentVariable[], string]>([
    [
      '$(NAME), from Secret and ConfigMap',
      [fromSecret('P', 'password'), fromMap('H', 'host'), value(name, 'postgresql://u:$(P)@$(H)/d')],
      'postgresql://u:Zq7@pg/d',
    ],
    ['$(NAME) of a value that refers on', [value('A', 'x'), value('B', '$(A)y'), value(name, '$(B)z')], 'xyz'],
    ['$(NAME) that comes later stays', [value(name, 'a$(LATER)b'), value('LATER', 'x')], 'a$(LATER)b'],
    ['$(NAME) that nothing sets stays', [value(name, 'a$(nothing)b')], 'a$(nothing)b'],
    ['$(NAME) with the value it had then', [value('A', '1'), value(name, 'v$(A)'), value('A', '2')], 'v1'],
    [
      '$(NAME) of itself is the one before',
      [value(name, 'a'), value(name, '$(AIRFLOW__DATABASE__SQL_ALCHEMY_CONN)b')],
      'ab',
    ],
    ['$$(NAME) is not a reference', [value('A', '1'), value(name, 'v$$(A)')], 'v$(A)'],
    ['an open $( stays', [value(name, 'v$(A')], 'v$(A'],
    ['a Secret is not expanded by Kubernetes', [value('A', '1'), fromSecret(name, 'connection')], plain],
    [
      '${NAME} and $NAME, by Airflow, wherever they are set',
      [value(name, 'u:${P}@$H/d'), fromSecret('P', 'password'), fromMap('H', 'host')],
      'u:Zq7@pg/d',
    ],
    ['$NAME within a Secret, by Airflow', [fromSecret(name, 'dollar'), value('DB_PASS', 'x')], 'postgresql://u:x@h/d'],
    ['$NAME that nothing sets stays', [value(name, 'u:pa$word@h')], 'u:pa$word@h'],
  ])('%s', (_, env, url) => {
    expect(connectionOf(container(env), lookup)).toEqual({ url });
  });
});

describe('S3-11: the schema', () => {
  it.each<[string, EnvironmentVariable[], string | undefined]>([
    ['as set', [value(schema, 'airflow')], 'airflow'],
    ['under the deprecated name', [value('AIRFLOW__CORE__SQL_ALCHEMY_SCHEMA', 'old')], 'old'],
    ['blank is none', [value(schema, ' ')], undefined],
    ['not set', [], undefined],
  ])('%s', (_, env, expected) => {
    expect(connectionOf(container([value(name, plain), ...env]), lookup)).toEqual({
      url: plain,
      ...(expected && { schema: expected }),
    });
  });
});

describe('what only the pod knows is said', () => {
  it.each<[string, EnvironmentVariable[], EnvironmentSource[], RegExp]>([
    [
      '_CMD',
      [value(`${name}_CMD`, 'cat /run/conn')],
      [],
      /_CONN_CMD is set: what its command prints is only known inside the pod/,
    ],
    [
      '_SECRET',
      [value(`${name}_SECRET`, 'db')],
      [],
      /_CONN_SECRET is set: what the secrets backend holds is only known/,
    ],
    [
      '_CMD of the new name before the deprecated plain one',
      [value(`${name}_CMD`, 'x'), value(core, plain)],
      [],
      /_CMD is set/,
    ],
    ['_CMD of the deprecated name', [value(`${core}_CMD`, 'x')], [], /CORE__SQL_ALCHEMY_CONN_CMD is set/],
    ['nothing set', [], [], /is not set; what airflow\.cfg holds is only known inside the pod/],
    ['empty', [fromSecret(name, 'empty')], [], /is empty/],
    ['a fieldRef', [fromField(name)], [], /comes from fieldRef and is only known inside the pod/],
    ['a fieldRef inside', [fromField('IP'), value(name, 'postgresql://u:p@$(IP)/d')], [], /^IP comes from fieldRef/],
    [
      'a fieldRef inside, by Airflow',
      [fromField('IP'), value(name, 'postgresql://u:p@$IP/d')],
      [],
      /^IP comes from fieldRef/,
    ],
    [
      "a Service's variable",
      [value(name, 'postgresql://u:p@$(PG_SERVICE_HOST)/d')],
      [],
      /^PG_SERVICE_HOST is set from a Service/,
    ],
    [
      'missing Secret',
      [fromSecret(name, 'c', 'gone')],
      [],
      /^Secret gone, from which .* comes, is missing or can't be read/,
    ],
    ['missing key', [fromSecret(name, 'nope')], [], /^Secret af-metadata has no key nope/],
    ['missing ConfigMap', [fromMap(name, 'x', 'gone')], [], /^ConfigMap gone, from which/],
    [
      'an envFrom that is missing may have set it later',
      [],
      [{ secretRef: { name: 'af-env' } }, { prefix: 'AIRFLOW__', secretRef: { name: 'gone' } }],
      /^Secret gone, which sets variables AIRFLOW__…, is missing/,
    ],
    ['missing envFrom', [], [{ secretRef: { name: 'gone' } }], /^Secret gone, which sets variables, is missing/],
    ['round and round', [value(name, 'a$A'), value('A', 'b$A')], [], /refers to itself/],
    ['the schema in a missing Secret', [value(name, plain), fromSecret(schema, 's', 'gone')], [], /^Secret gone/],
  ])('%s', (_, env, envFrom, why) => {
    const connection = connectionOf(container(env, envFrom), lookup);
    expect('unreadable' in connection && connection.unreadable).toMatch(why);
  });

  it('references that multiply end soon', () => {
    const doubling = Array.from({ length: 60 }, (_, i) => value(`A${i + 1}`, `$(A${i})$(A${i})`));
    const env = [value('A0', 'x'), ...doubling, value(name, '$(A60)')];
    expect(connectionOf(container(env), lookup)).toEqual({
      unreadable: 'the variables refer to each other without end',
    });
    const airflows = [value(name, '$A'), value('A', '$A$A$A$A$A$A$A$A')];
    expect(connectionOf(container(airflows), lookup)).toHaveProperty('unreadable');
    const started = performance.now();
    const long = connectionOf(container([value(name, '$('.repeat(500_000))]), lookup);
    expect(performance.now() - started).toBeLessThan(500);
    expect(long).toEqual({ unreadable: 'a variable is longer than 65536 characters' });
    expect(connectionOf(container([value('OTHER', '$('.repeat(500_000)), value(name, plain)]), lookup)).toEqual({
      url: plain,
    });
  });

  it('a key named like a property of every object is missing', () => {
    expect(connectionOf(container([fromSecret(name, 'constructor')]), lookup)).toHaveProperty('unreadable');
  });

  it('no sentence holds a value', () => {
    const secret = 'Zq7Zq7Zq7';
    const text = fc.constantFrom(secret, `x${secret}`, `$(IP)${secret}`, `$IP ${secret}`, `${secret}$(${secret}_PORT`);
    const variable = fc.constantFrom(name, core, `${name}_CMD`, `${core}_SECRET`, schema, 'IP');
    const entry = fc.oneof(
      fc.tuple(variable, text).map(([n, t]) => value(n, t)),
      variable.map(fromField),
      variable.map((n) => fromSecret(n, 'gone')),
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), (env) => {
        const connection = connectionOf(container(env), lookup);
        if ('unreadable' in connection) expect(connection.unreadable).not.toContain(secret);
      }),
    );
  });
});

describe('S0-17: only what can matter is read', () => {
  it('the objects of these variables and of those they mention, and envFrom', () => {
    const env = [
      fromSecret('AIRFLOW__CORE__FERNET_KEY', 'fernet-key', 'af-fernet'),
      fromSecret('DB_PASS', 'password', 'af-db'),
      fromMap('DB_HOST', 'host', 'af-hosts'),
      value('HOST', '${DB_HOST}'),
      value(name, 'postgresql://u:$(DB_PASS)@$HOST/d'),
      fromSecret(schema, 'schema', 'af-schema'),
    ];
    const sources = [
      { secretRef: { name: 'af-env' } },
      { configMapRef: { name: 'af-config' } },
      { prefix: 'AIRFLOW__', secretRef: { name: 'af-env' } },
      { prefix: 'SMTP_', secretRef: { name: 'af-smtp' } },
    ];
    expect(referencesOf(container(env, sources))).toEqual({
      secrets: ['af-db', 'af-env', 'af-schema'],
      configMaps: ['af-config', 'af-hosts'],
    });
  });

  it('nothing for a container without environment', () => {
    expect(referencesOf({ name: 'x' })).toEqual({ secrets: [], configMaps: [] });
  });
});
