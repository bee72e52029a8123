import { join } from 'node:path';
import { makeDebian, useless } from './debian.ts';
import { pushLayer, type Recipe } from './recipe.ts';

const packages = [
  'python3',
  'python3-venv',
  'libpq5',
  'ca-certificates',
  'tini',
  'procps',
  'postgresql-client',
  'netbase',
  'tzdata',
];

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Debian 12 with Python 3.11 and the PostgreSQL client. */
export const base: Recipe = {
  repository: 'base',
  ingredients: () => ['1', ...packages, ...useless],
  make: async (workshop) => {
    const root = join(workshop.dir, 'root');
    await makeDebian(root, packages);
    await pushLayer(workshop, root, { env: { PATH: path, LANG: 'C.UTF-8' }, cmd: ['/bin/bash'] }, useless);
  },
};
