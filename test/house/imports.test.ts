import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Folder of src → what its files may import. `type` arrows count as well. A folder may always import itself and node:*. */
const allowed: Record<string, { folders: string[]; packages: string[] }> = {
  release: { folders: [], packages: ['@renovatebot/pep440'] },
  heap: { folders: [], packages: [] },
  admission: {
    folders: ['heap', 'release'],
    packages: ['fastify', 'fast-json-patch', 'yaml', '@prometheus-io/client'],
  },
  controller: { folders: ['release'], packages: [] },
  cluster: { folders: ['heap', 'release'], packages: ['@kubernetes/client-node', 'ws'] },
  database: { folders: ['release'], packages: ['pg'] },
  registry: { folders: ['release'], packages: [] },
  inside: { folders: [], packages: [] },
  wiring: {
    folders: ['admission', 'controller', 'cluster', 'database', 'inside', 'registry', 'release', ''],
    packages: ['pino'],
  },
  '': { folders: ['admission', 'cluster', 'wiring', 'certs'], packages: ['pino'] },
  certs: { folders: [], packages: ['selfsigned'] },
};

/** Room of src/release → the rooms that its files may import, and itself. */
const rooms: Record<string, string[]> = {
  model: [],
  airflow: ['model'],
  kubernetes: ['model', 'airflow'],
  policy: ['model', 'kubernetes'],
  verdict: ['model', 'airflow', 'kubernetes'],
  plan: ['model', 'airflow', 'kubernetes'],
  downgrade: ['model', 'airflow', 'kubernetes', 'verdict', 'plan'],
};

/** What is no decision and no part of the running product. */
const exempt = ['src/release/airflow/generate/'];

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((f) => f.isFile() && f.name.endsWith('.ts'))
    .map((f) => join(f.parentPath, f.name));
}

function importsOf(file: string): string[] {
  const found = readFileSync(file, 'utf8').matchAll(/\bfrom '([^']+)'|\bimport\('([^']+)'\)|\brequire\('([^']+)'\)/g);
  return [...found].flatMap(([, ...paths]) => paths.find((path) => path !== undefined) ?? []);
}

function folderOf(file: string): string {
  if (file.startsWith('certs/')) return 'certs';
  const [, ...rest] = file.split('/');
  return rest.length > 1 ? rest[0]! : '';
}

const sources = [...files('src'), ...files('certs')].filter((f) => !exempt.some((e) => f.startsWith(e)));

describe('imports point one way', () => {
  it.each(sources)('%s', (file) => {
    const folder = folderOf(file);
    const rule = allowed[folder];
    if (!rule) throw new Error(`${folder}/ is a folder that test/house/imports.test.ts does not know`);
    for (const path of importsOf(file)) {
      if (path.startsWith('node:')) continue;
      if (!path.startsWith('.')) {
        expect(rule.packages, `${file} imports ${path}`).toContain(path);
        continue;
      }
      const target = folderOf(join(file, '..', path));
      if (target !== folder) expect(rule.folders, `${file} imports ${path}`).toContain(target);
    }
  });

  it.each(sources.filter((file) => file.startsWith('src/release/')))('between the rooms of src/release: %s', (file) => {
    const room = file.split('/')[2]!;
    const may = rooms[room];
    if (!may) throw new Error(`${room} is a room that test/house/imports.test.ts does not know`);
    for (const path of importsOf(file).filter((path) => path.startsWith('.')))
      expect([room, ...may], `${file} imports ${path}`).toContain(join(file, '..', path).split('/')[2]);
  });

  it('the core has no I/O: no node module but hashing', () => {
    for (const file of sources.filter((f) => f.startsWith('src/release/')))
      for (const [, path] of readFileSync(file, 'utf8').matchAll(/from '(node:[^']+)'/g))
        expect([file, path]).toEqual([file, 'node:crypto']);
  });
});
