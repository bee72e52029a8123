/** What nobody imports is not exported, and what only tests use is not in the product: dead code would stay unseen. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';

const files = ['src', 'certs', 'test']
  .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`))
  .filter((file) => file.endsWith('.ts'));
const texts = new Map(files.map((file) => [file, readFileSync(file, 'utf8')]));

/** In the product, and looked at by tests or by what makes documents: tables. */
const tables = ['src/cluster/rights.ts: ownRights', 'src/release/model/cures.ts: cures'];

interface Export {
  file: string;
  name: string;
  isType: boolean;
}

const exported = files.flatMap((file) => {
  const pattern = /^export (?:declare |async |abstract )*(const|let|function\*?|class|interface|type|enum) (\w+)/gm;
  return [...texts.get(file)!.matchAll(pattern)].map(([, kind, name]): Export => {
    return { file, name: name!, isType: kind === 'interface' || kind === 'type' };
  });
});

/** File → names that it imports, each as "file: name". */
const imported = new Map(files.map((file) => [file, namesIn(file)]));

function namesIn(file: string): Set<string> {
  const text = texts.get(file)!;
  const statements = text.matchAll(/^(?:import|export) (?:type )?\{([^}]*)\} from '(\.[^']*)'/gm);
  const named = [...statements].flatMap(([, names = '', path = '']) =>
    names.split(',').map(
      (name) =>
        `${join(dirname(file), path)}: ${
          name
            .trim()
            .replace(/^type /, '')
            .split(' as ')[0]
        }`,
    ),
  );
  const inline = [...text.matchAll(/import\('(\.[^']*)'\)\.(\w+)/g)].map(
    ([, path = '', name]) => `${join(dirname(file), path)}: ${name}`,
  );
  return new Set([...named, ...inline]);
}

/** Files that another one has as a whole: `import * as`, or `await import`. */
const takenWhole = new Set(
  files.flatMap((file) =>
    [...texts.get(file)!.matchAll(/(?:import \* as \w+ from |import\()'(\.[^']*)'/g)].map(([, path = '']) =>
      join(dirname(file), path),
    ),
  ),
);
const isTakenWhole = (file: string) => takenWhole.has(file);

const uses = (text: string, name: string) => [...text.matchAll(new RegExp(`\\b${name}\\b`, 'g'))].length - 1;

it('what is exported is imported somewhere; a type may be there to be read', () => {
  const unused = exported.filter(({ file, name, isType }) => {
    if ([...imported.values()].some((names) => names.has(`${file}: ${name}`))) return false;
    return !(isType && uses(texts.get(file)!, name) > 0) && !isTakenWhole(file);
  });
  expect(unused.map(({ file, name }) => `${file}: ${name}`)).toEqual([]);
});

it('what the product exports is used by the product', () => {
  const forTests = exported.filter(({ file, name }) => {
    if (file.startsWith('test/') || uses(texts.get(file)!, name) > 0) return false;
    return ![...imported].some(([by, names]) => !by.startsWith('test/') && names.has(`${file}: ${name}`));
  });
  const found = forTests.filter(({ file }) => !isTakenWhole(file)).map(({ file, name }) => `${file}: ${name}`);
  expect(found.sort()).toEqual(tables);
});
