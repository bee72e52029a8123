/** A path of the Kubernetes API is made of checked names in one file. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const home = join('src', 'cluster', 'client', 'paths.ts');

const sources = ['src', 'certs'].flatMap((folder) =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((f) => f.isFile() && f.name.endsWith('.ts'))
    .map((f) => join(f.parentPath, f.name)),
);

describe('paths of the Kubernetes API', () => {
  it('are built in one file alone', () => {
    const elsewhere = sources.filter((f) => f !== home && /['"`]\/apis?(\/|['"`])/.test(readFileSync(f, 'utf8')));
    expect(elsewhere).toEqual([]);
  });

  it('take names one by one: nothing is put behind a path, and no name has a slash in it', () => {
    const joined =
      /`[^`]*\$\{(?:core|apps|batch|downgradesOf|leasesOf|eventsOf|configurations|pathIn|workloadPath|pathOf)\([^`]*\}\/|\b(?:core|apps|batch)\([^()]*['"`][a-z]+\//;
    expect(sources.filter((f) => joined.test(readFileSync(f, 'utf8')))).toEqual([]);
  });
});
