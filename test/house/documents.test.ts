/** What the documents say is what the code does; and what may stand in no file of ours. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { cures } from '../../src/release/model/cures.ts';
import { levels } from '../levels.ts';
import { blocksOf, commandsOf, documents as forPeople } from './commands.ts';
import { commandsNotTyped } from './commandtable.ts';
import { generated, withTable } from './generate.ts';

const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
});
const files = [...new Set(listed.split('\0'))].filter((file) => file && existsSync(file));
const documents = files
  .filter((file) => file.endsWith('.md'))
  .map((file) => ({ file, text: readFileSync(file, 'utf8') }));
const readme = readFileSync('README.md', 'utf8');
const everything = documents.map(({ text }) => text).join('\n');

/** Rows of the table between two markers, in whichever document, without its head; a cell's code marks are taken off. */
function table(name: string): string[][] {
  const [, text] = new RegExp(`<!-- ${name} -->\n([^]*?)<!-- /${name} -->`).exec(everything) ?? [];
  if (!text) throw new Error(`no document has a table marked ${name}`);
  const rows = text.trim().split('\n').slice(2);
  return rows.map((row) =>
    row
      .slice(1, row.lastIndexOf('|'))
      .split('|')
      .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1')),
  );
}

it("S4-12: says what Airflow's own downgrade does not, for whoever meets its error", () => {
  const section = /^## What `airflow db downgrade` does[\s\S]*?(?=^## )/m.exec(readme)?.[0] ?? '';
  const sentences = ['schema, not the rows', "KeyError: <Encoding.VAR: '__var'>", '#68317', '#59711', 'two ways'];
  for (const words of sentences) expect(section).toContain(words);
});

it('the README is read in one go', () => {
  expect(readme.split('\n').length).toBeLessThanOrEqual(201);
});

describe('S1-25: the tables of the documents', () => {
  it.each(generated())('$name of $file are as npm run documents makes them', (table) => {
    const document = readFileSync(table.file, 'utf8');
    expect(withTable(document, table)).toBe(document);
  });

  it('every reason has something to do about it', () => {
    expect(Object.entries(cures).filter(([, cure]) => cure.trim() === '')).toEqual([]);
  });

  it('webhooks: those of manifests/webhooks.yaml and the gate, with how they fail', () => {
    const installed = parseAllDocuments(readFileSync('manifests/webhooks.yaml', 'utf8'))
      .flatMap((document) => document.toJS().webhooks as { name: string; failurePolicy: string }[])
      .map(({ name, failurePolicy }) => [name, failurePolicy]);
    const gate = readFileSync('src/cluster/drain-webhook.ts', 'utf8');
    const written = [/'(drain\.[\w.]+)'/, /failurePolicy: '(\w+)'/].map((field) => field.exec(gate)?.[1]);
    const told = table('webhooks').map(([name, , policy]) => [name, policy]);
    expect(told.sort()).toEqual([...installed, written].sort());
  });

  it('levels of test: those of test/levels.ts, with their questions', () => {
    const told = table('levels').map(([name, question]) => [name, question]);
    expect(told).toEqual(Object.values(levels).map(({ name, question }) => [name, question]));
  });
});

describe('what the documents name is there', () => {
  const scripts = JSON.parse(readFileSync('package.json', 'utf8')).scripts as Record<string, string>;
  const named = [...new Set([...everything.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, script]) => script!))];

  it.each(named)('npm run %s', (script) => {
    expect(Object.keys(scripts)).toContain(script);
    const [, file] = /^node run\.cjs (\S+)/.exec(scripts[script]!) ?? [];
    if (file) expect(existsSync(file), `npm run ${script} needs ${file}`).toBe(true);
  });

  const isPath = /^(?:src|test|manifests|certs|\.ci)\/[\w./-]*$/;
  const inCode = [...everything.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!).filter((text) => isPath.test(text));

  it.each([...new Set(inCode)])('%s', (path) => {
    expect(existsSync(path)).toBe(true);
  });

  const links = documents.flatMap(({ file, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, to]) => ({ file, to: to! }))
      .filter(({ to }) => !/^https?:/.test(to)),
  );

  it.each(links)('$file: $to', ({ file, to }) => {
    const [path = '', anchor] = to.split('#');
    const target = path === '' ? file : join(dirname(file), path);
    expect(existsSync(target)).toBe(true);
    if (anchor) expect(anchorsOf(readFileSync(target, 'utf8'))).toContain(anchor);
  });

  it('the span of the table of releases', () => {
    const { core } = JSON.parse(readFileSync('src/release/airflow/heads.json', 'utf8'));
    const versions = Object.keys(core.releases);
    expect(everything).toContain(`${versions[0]} to ${versions.at(-1)}`);
  });
});

describe('S1-25: every command of the documents is typed by a test, or stands in a table with why not', () => {
  const commands = forPeople().flatMap(commandsOf);

  it('every block says what is in it', () => {
    const blocks = forPeople().flatMap(blocksOf);
    const unknown = blocks.filter(({ language }) => !['sh', 'console', 'yaml', 'text'].includes(language));
    expect(unknown.map(({ file, line }) => `${file}:${line}`)).toEqual([]);
    const silent = blocks.filter(({ language, text }) => language === 'console' && !/^\$ /m.test(text));
    expect(silent.map(({ file, line }) => `${file}:${line}`)).toEqual([]);
  });

  it('what test/tools/documents.test.ts can not type is in the table', () => {
    const left = commands.filter(({ text }) => !(text in commandsNotTyped) && !/^(kubectl|helm|mkdir) /.test(text));
    expect(left.map(({ file, line, text }) => `${file}:${line}: ${text}`)).toEqual([]);
  });

  it('the table has nothing that no document says, and names files that are there', () => {
    const said = new Set(commands.map(({ text }) => text));
    expect(Object.keys(commandsNotTyped).filter((text) => !said.has(text))).toEqual([]);
    const files = Object.values(commandsNotTyped).map(({ shownBy }) => shownBy);
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  });

  it('a block is taken apart as a shell does', () => {
    const [sh, console] = ['```sh\n', '```console\n'];
    const text = [
      `${sh}# a word\nkubectl get pods    # all\nhelm template a \\\n  | kubectl apply -f -\n\ncat <<'X'\n# kept\nX\nlast\n\`\`\``,
      `${console}$ kubectl get nodes\nNAME\n\`\`\``,
      'Then `kubectl get ns`, with `kubectl` or `NAME`.',
    ].join('\n');
    expect(commandsOf({ file: 'a.md', text })).toEqual([
      { file: 'a.md', line: 3, text: 'kubectl get pods' },
      { file: 'a.md', line: 4, text: 'helm template a \\\n  | kubectl apply -f -' },
      { file: 'a.md', line: 7, text: "cat <<'X'\n# kept\nX" },
      { file: 'a.md', line: 10, text: 'last' },
      { file: 'a.md', line: 13, text: 'kubectl get nodes' },
      { file: 'a.md', line: 16, text: 'kubectl get ns' },
    ]);
  });
});

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}

/** In pieces, since this file is searched as well. */
const registries = [
  ['registry', 'npmjs', 'org'],
  ['registry', 'yarnpkg', 'com'],
  ['pypi', 'org'],
  ['pythonhosted', 'org'],
  ['proxy', 'golang', 'org'],
  ['sum', 'golang', 'org'],
  ['crates', 'io'],
  ['maven', 'org'],
  ['deb', 'debian', 'org'],
  ['debian', 'org', '/debian'],
].map((parts) => parts.join('.').replace('./', '/'));

const folders = ['work', 'root', 'Users', 'home/(?!airflow\\b)'].join('|');
// Not followed by a space: that is a regular expression which begins with the word.
const machinePath = new RegExp(`(?:^|[\\s"'\`=(:,])/(?:${folders})(?=[/"'\`),;:.]|$)`);

describe('no file of ours', () => {
  const lines = files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .map((text, at) => ({ at: `${file}:${at + 1}`, text })),
  );

  it('names the host of a package registry', () => {
    // The paths of Go modules are names, of the same form as hosts.
    const own = lines.filter(({ at }) => !/\/go\.(mod|sum):/.test(at));
    const found = own.filter(({ text }) => registries.some((host) => text.includes(host)));
    expect(found.map(({ at }) => at)).toEqual([]);
  });

  it('names a path of the machine it was written on', () => {
    const found = lines.filter(({ text }) => machinePath.test(text));
    expect(found.map(({ at, text }) => `${at}: ${text.trim().slice(0, 100)}`)).toEqual([]);
  });
});
