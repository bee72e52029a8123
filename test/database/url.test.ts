import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe as about, expect, it } from 'vitest';
import { addressOf, parseDatabaseUrl } from '../../src/database/url.ts';

function parsed(url: string) {
  const settings = parseDatabaseUrl(url, 'air');
  if ('unreadable' in settings) throw new Error(settings.unreadable);
  return { ...settings, password: settings.password() };
}

const refusal = (url: string) => {
  const settings = parseDatabaseUrl(url, 'air');
  return 'unreadable' in settings ? settings.unreadable : 'was read';
};

about('forms of the URL', () => {
  it.each([
    'postgresql://u:p@db.example:5433/airflow',
    'postgresql+psycopg2://u:p@db.example:5433/airflow',
    'postgresql+psycopg://u:p@db.example:5433/airflow',
    'postgresql+asyncpg://u:p@db.example:5433/airflow',
    'postgres://u:p@db.example:5433/airflow',
    'postgresql://db.example:5433/airflow?user=u&password=p',
    'postgresql://u:p@/airflow?host=db.example&port=5433',
    'postgresql://u:p@/airflow?host=db.example:5433',
    'postgresql://u:p@elsewhere/?host=db.example:5433&dbname=airflow',
  ])('%s', (url) => {
    expect(parsed(url)).toEqual({
      hosts: [{ host: 'db.example', port: 5433, names: ['db.example'] }],
      user: 'u',
      password: 'p',
      database: 'airflow',
      encryption: 'prefer',
      primaryOnly: false,
    });
  });

  it.each([
    ['mysql+mysqldb://u:p@h/d', 'MySQL'],
    ['mysql://u:p@h/d', 'MySQL'],
    ['mariadb+pymysql://u:p@h/d', 'MariaDB'],
    ['sqlite:////opt/airflow/airflow.db', 'SQLite'],
    ['mssql+pyodbc://u:p@h/d', 'Microsoft SQL Server'],
  ])('%s is told by its backend', (url, backend) => {
    expect(refusal(url)).toBe(`${backend} can't be read from outside yet`);
  });

  it.each([
    ['redis://u:s3cretpw@h/d', /kind of database that is not known/],
    ['s3cretpw', /not of the form/],
    ['', /not of the form/],
    ['postgresql://u:p@db.example/airflow\n', /control character/],
    ['postgresql://u%0A:p@db.example/airflow', /control character/],
    ['postgresql://u:p%00@db.example/airflow', /control character/],
    ['postgresql://db.example/airflow', /names no user/],
    ['postgresql://u:p@db.example:port/airflow', /port that is not a number/],
    ['postgresql://u:p@db.example:70000/airflow', /port that is not a number/],
    [`postgresql://u:${'p'.repeat(9000)}@db.example/airflow`, /longer than 8192/],
    [`postgresql://u:p@${'h,'.repeat(99)}h/airflow`, /more than 16 hosts/],
    [`postgresql://u:p@db.example/airflow?options=${'-'.repeat(8000)}`, /was read/],
    ['postgresql://u:p@db.example/airflow?service=prod', /a service, which is a file inside the pod/],
    ['postgresql://u:p@db.example/airflow?passfile=/x', /a passfile, which is a file inside the pod/],
  ])('%j is refused', (url, why) => {
    expect(refusal(url)).toMatch(why);
  });
});

about('user, password, database', () => {
  it.each([
    ['postgresql://air%40corp:p%40ss%2Fw%3Ard@db.example/a', 'air@corp', 'p@ss/w:rd'],
    ['postgresql://u:a+b%2Bc@db.example/a', 'u', 'a+b+c'],
    ['postgresql://u:100%@db.example/a', 'u', '100%'],
    ['postgresql://u:%zz%C3%A9@db.example/a', 'u', '%zzé'],
    ['postgresql://u:a:b/c?d@db.example/a', 'u', 'a:b/c?d'],
    ['postgresql://u@db.example/a', 'u', ''],
    ['postgresql://u:@db.example/a', 'u', ''],
  ])('%s', (url, user, password) => {
    expect(parsed(url)).toMatchObject({ user, password, database: 'a' });
  });

  it('the database is the user where none is named, and is not decoded', () => {
    expect(parsed('postgresql://u:p@db.example').database).toBe('u');
    expect(parsed('postgresql://u:p@db.example/').database).toBe('u');
    expect(parsed('postgresql://u:p@db.example/my%20db').database).toBe('my%20db');
  });
});

about('hosts', () => {
  const hosts = (url: string) => parsed(url).hosts.map(({ host, port }) => `${host} ${port}`);

  it.each([
    ['postgresql://u:p@[2001:db8::1]:6432/a', ['2001:db8::1 6432']],
    ['postgresql://u:p@[2001:db8::1]/a', ['2001:db8::1 5432']],
    ['postgresql://u:p@10.0.0.7/a', ['10.0.0.7 5432']],
    ['postgresql://u:p@a.x,b.x/a', ['a.x 5432', 'b.x 5432']],
    ['postgresql://u:p@a.x,b.x:5433/a', ['a.x 5433', 'b.x 5433']],
    ['postgresql://u:p@a.x:1,b.x:2/a', ['a.x 1', 'b.x 2']],
    ['postgresql://u:p@/a?host=a.x,b.x', ['a.x 5432', 'b.x 5432']],
    ['postgresql://u:p@/a?host=a.x,b.x&port=1,2', ['a.x 1', 'b.x 2']],
    ['postgresql://u:p@/a?host=a.x:1&host=b.x:2', ['a.x 1', 'b.x 2']],
    ['postgresql://u:p@/a?host=a.x:1&host=b.x', ['a.x 1', 'b.x 5432']],
    ['postgresql://u:p@/a?host=a.x&host=b.x:2', ['a.x 5432', 'b.x 2']],
    ['postgresql://u:p@a.x:6/a?host=b.x', ['b.x 6']],
    ['postgresql://u:p@a.x:6/a?host=b.x:7', ['b.x 7']],
    ['postgresql://u:p@a.x:6/a?host=b.x,c.x', ['b.x 5432', 'c.x 5432']],
    ['postgresql://u:p@a.x:6/a?port=9', ['a.x 9']],
    ['postgresql://u:p@a.x/a?hostaddr=10.0.0.7', ['10.0.0.7 5432']],
    ['postgresql://u:p@a.x:6/a?hostaddr=10.0.0.7', ['10.0.0.7 6']],
  ])('%s', (url, expected) => {
    expect(hosts(url)).toEqual(expected);
  });

  it("a name without a dot is the pod's own namespace's first", () => {
    expect(parsed('postgresql://u:p@pg/a').hosts[0]!.names).toEqual(['pg.air.svc', 'pg']);
    expect(parsed('postgresql://u:p@pg.data/a').hosts[0]!.names).toEqual(['pg.data']);
    expect(parsed('postgresql://u:p@[fd00::5]/a').hosts[0]!.names).toEqual(['fd00::5']);
  });

  it.each([
    'localhost',
    'LOCALHOST.',
    '127.0.0.1',
    '127.9.9.9',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    'x.localhost',
  ])('%s is only reachable inside the pod', (host) => {
    expect(refusal(`postgresql://u:p@${host}:5432/a`)).toMatch(/only reachable inside the pod/);
    expect(refusal(`postgresql://u:p@db.example,${host}/a`)).toMatch(/only reachable inside the pod/);
  });

  it.each(['127.1', '2130706433', '0x7f000001', '0X7F.1', '0177.0.0.1', '127.0.0.1.', '0'])(
    '%s, which resolves to an address without being one, is not dialled',
    (host) => {
      expect(refusal(`postgresql://u:p@${host}:5432/a`)).toMatch(/a number for a host that is no IP address/);
      expect(refusal(`postgresql://u:p@/a?host=${host}`)).toMatch(/a number for a host that is no IP address/);
    },
  );

  it('a name that only begins like a number is a name', () => {
    expect(hosts('postgresql://u:p@10-0-0-7.pg.air.pod/a')).toEqual(['10-0-0-7.pg.air.pod 5432']);
    expect(hosts('postgresql://u:p@1.2.3.4.5.example/a')).toEqual(['1.2.3.4.5.example 5432']);
    expect(hosts('postgresql://u:p@0xdb/a?host=db0')).toEqual(['db0 5432']);
  });

  it.each([
    'postgresql://u:p@/a',
    'postgresql://u:p@/a?host=/var/run/postgresql',
    'postgresql://u:p@/a?host=%2Fvar%2Frun%2Fpostgresql',
    'postgresql://u:p@/a?hostaddr=/var/run/postgresql',
    'postgresql://u:p@db.example/a?host=db.example,/tmp',
    'postgresql://u:p@/a?host=@abstract',
  ])('%s is a unix socket', (url) => {
    expect(refusal(url)).toMatch(/unix socket|@ after the host/);
  });
});

about('encryption', () => {
  it.each([
    ['', 'prefer'],
    ['?sslmode=disable', 'disable'],
    ['?sslmode=disable&sslrootcert=/x&sslcert=/y', 'disable'],
    ['?sslmode=allow', 'allow'],
    ['?sslmode=prefer', 'prefer'],
    ['?sslmode=require', 'require'],
    ['?ssl=require', 'require'],
    ['?sslrootcert=system', 'verify-full'],
    ['?sslmode=verify-full&sslrootcert=system', 'verify-full'],
  ])('%s', (query, encryption) => {
    expect(parsed(`postgresql://u:p@db.example/a${query}`).encryption).toBe(encryption);
  });

  it.each([
    ['?sslmode=verify-ca', /root certificate that is a file inside the pod/],
    ['?sslmode=verify-full&sslrootcert=/certs/ca.pem', /root certificate that is a file inside the pod/],
    ['?sslmode=require&sslrootcert=/certs/ca.pem', /root certificate that is a file inside the pod/],
    ['?sslmode=require&sslcert=/certs/me.pem&sslkey=/certs/me.key', /client certificate, which is a file inside/],
    ['?sslmode=sometimes', /sslmode that is not known/],
  ])('%s can only be done inside the pod', (query, why) => {
    expect(refusal(`postgresql://u:p@db.example/a${query}`)).toMatch(why);
  });
});

about('options', () => {
  it.each([
    ['options=-csearch_path%3Dairflow', { searchPath: 'airflow' }],
    ['options=-c%20search_path%3Dairflow,public', { searchPath: 'airflow,public' }],
    ['options=-c+search_path=airflow', { searchPath: 'airflow' }],
    ['options=--search-path%3Dairflow', { searchPath: 'airflow' }],
    ['options=-csearch_path%3Da,%5C%20b%20-cstatement_timeout%3D5', { searchPath: 'a, b' }],
    ['options=-cjit%3Doff%20-csearch_path%3Da%20-crole%3Downer', { searchPath: 'a', role: 'owner' }],
    ['connect_timeout=3', { connectTimeoutMs: 3000 }],
    ['target_session_attrs=read-write', { primaryOnly: true }],
  ])('%s', (query, expected) => {
    expect(parsed(`postgresql://u:p@db.example/a?${query}`)).toMatchObject(expected);
  });

  it.each(['connect_timeout=0', 'connect_timeout=soon', 'options=-cjit%3Doff'])('%s changes nothing', (query) => {
    const settings = parsed(`postgresql://u:p@db.example/a?${query}`);
    expect(settings).not.toHaveProperty('connectTimeoutMs');
    expect(settings).not.toHaveProperty('searchPath');
  });
});

about('the password', () => {
  it('is not in what people see', () => {
    const settings = parseDatabaseUrl('postgresql://u:Zq7-secret@[fd00::5]:1,pg:2/a', 'air');
    if ('unreadable' in settings) throw new Error(settings.unreadable);
    expect(settings.hosts.map(addressOf)).toEqual(['[fd00::5]:1', 'pg:2']);
    expect(inspect(settings) + JSON.stringify(settings)).not.toContain('Zq7');
  });

  /** Each piece long and odd enough not to stand anywhere else. */
  const piece = fc.string({ unit: fc.constantFrom('Q', 'Z', '7', '9'), minLength: 6, maxLength: 12 });
  const mark = fc.constantFrom('@', '/', ':', '?', '#', '%', '&', '=', '+', '[', ']', ',', '$', '%40', ' ');

  it('comes out of no URL, however badly it is written', () => {
    const scheme = fc.constantFrom('postgresql', 'postgres', 'postgresql+psycopg2', 'mysql', 'oops');
    const place = fc.constantFrom(
      (p: string) => `u:${p}@db.example:5432/a`,
      (p: string) => `u:${p}@pg/a?sslmode=require`,
      (p: string) => `u:${p}@/a?host=x.y,pg&port=1,2`,
      (p: string) => `u:${p}@localhost/a`,
      (p: string) => `u:${p}@[::1/a`,
      (p: string) => `u:${p}@db.example:${p}`,
      (p: string) => `db.example/a?user=u&password=${p}`,
    );
    const password = fc.tuple(piece, mark, piece, mark, piece).map((parts) => parts.join(''));
    fc.assert(
      fc.property(scheme, place, password, (name, write, secret) => {
        const settings = parseDatabaseUrl(`${name}://${write(secret)}`, 'air');
        const shown = 'unreadable' in settings ? settings.unreadable : inspect(settings, { depth: 9 });
        expect(shown).not.toMatch(/[QZ79]{6}/);
      }),
      { numRuns: 3000 },
    );
  });
});
