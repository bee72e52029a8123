import { join } from 'node:path';
import { makeDebian, useless } from './debian.ts';
import { pushLayer, type Recipe, writeScripts } from './recipe.ts';

const packages = ['postgresql-15', 'tini'];

// As the well-known image: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, PGDATA. Ours: POSTGRES_FSYNC=off.
const entrypoint = `#!/bin/sh
set -eu
PGDATA=\${PGDATA:-/var/lib/postgresql/data}
export PGDATA
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chown -R postgres:postgres "$PGDATA" /var/run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
case "\${1:-}" in postgres | -*) ;; *) exec "$@" ;; esac
[ "$1" = postgres ] && shift
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=\${POSTGRES_USER:-postgres}
  : "\${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD}"
  umask 077
  printf '%s\\n' "$POSTGRES_PASSWORD" > /tmp/password
  initdb --username="$user" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --no-sync
  rm /tmp/password
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
  pg_ctl --wait start -o "-c listen_addresses='' -c fsync=off"
  database=\${POSTGRES_DB:-$user}
  [ "$database" = postgres ] || createdb --username="$user" --maintenance-db=postgres "$database"
  pg_ctl --wait stop
fi
unset POSTGRES_PASSWORD
exec postgres -c fsync="\${POSTGRES_FSYNC:-on}" "$@"
`;

/** PostgreSQL 15, Debian's, behaving as the well-known image as far as its environment goes. */
export const postgres: Recipe = {
  repository: 'postgres',
  tag: '15',
  ingredients: () => ['2', entrypoint, ...packages, ...useless],
  make: async (workshop) => {
    const root = join(workshop.dir, 'root');
    await makeDebian(root, packages);
    await writeScripts(root, { 'usr/local/bin/docker-entrypoint.sh': entrypoint });
    const config = {
      env: { PATH: '/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8', PG_MAJOR: '15' },
      entrypoint: ['/usr/bin/tini', '--', '/usr/local/bin/docker-entrypoint.sh'],
      cmd: ['postgres'],
    };
    // The package makes a database of its own when it is installed.
    await pushLayer(workshop, root, config, [...useless, './var/lib/postgresql/15', './etc/postgresql/15']);
  },
};
