/** What the README says is what the code does; and what may stand in no file of ours. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { configHelp } from '../../src/config.ts';
import { reasons } from '../../src/release/reasons.ts';
import { levels } from '../levels.ts';

const readme = readFileSync('README.md', 'utf8');

/** Rows of the table between two markers, without its head; a cell's code marks are taken off. */
function table(name: string): string[][] {
  const [, text] = new RegExp(`<!-- ${name} -->\n([^]*?)<!-- /${name} -->`).exec(readme) ?? [];
  if (!text) throw new Error(`README.md has no table marked ${name}`);
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
  const sentences = ['schema, not the rows', "KeyError: <Encoding.VAR: '__var'>", '#68317', '#59711', 'two ways back'];
  for (const words of sentences) expect(section).toContain(words);
});

describe('the tables of the README', () => {
  it('reasons: each once, with the place and meaning of src/release/reasons.ts, and with what to do', () => {
    const rows = table('reasons');
    const told = rows.map(([reason, place, meaning]) => [reason, place, meaning]);
    expect(told.sort()).toEqual(
      Object.entries(reasons)
        .map((entry) => entry.flat())
        .sort(),
    );
    expect(rows.filter(([, , , cure]) => !cure)).toEqual([]);
  });

  it('settings: as --help tells them', () => {
    const line = /^ {2}(DOWNDRAFT_\w+) +(.*?)(?: \(default: (.*)\))?$/gm;
    const told = [...configHelp().matchAll(line)].map(([, variable, meaning, initial = '']) => [
      variable,
      meaning,
      initial,
    ]);
    expect(told.length).toBeGreaterThan(10);
    expect(table('settings')).toEqual(told);
  });

  it('webhooks: those of manifests/webhooks.yaml and the gate, with how they fail', () => {
    const installed = parseAllDocuments(readFileSync('manifests/webhooks.yaml', 'utf8'))
      .flatMap((document) => document.toJS().webhooks as { name: string; failurePolicy: string }[])
      .map(({ name, failurePolicy }) => [name, failurePolicy]);
    const gate = readFileSync('src/cluster/gate.ts', 'utf8');
    const written = [/'(drain\.[\w.]+)'/, /failurePolicy: '(\w+)'/].map((field) => field.exec(gate)?.[1]);
    const told = table('webhooks').map(([name, , policy]) => [name, policy]);
    expect(told.sort()).toEqual([...installed, written].sort());
  });

  it('levels of test: those of test/levels.ts, with their questions', () => {
    const told = table('levels').map(([name, question]) => [name, question]);
    expect(told).toEqual(Object.values(levels).map(({ name, question }) => [name, question]));
  });
});

describe('what the README names is there', () => {
  const scripts = JSON.parse(readFileSync('package.json', 'utf8')).scripts as Record<string, string>;
  const named = [...new Set([...readme.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, script]) => script!))];

  it.each(named)('npm run %s', (script) => {
    expect(Object.keys(scripts)).toContain(script);
    const [, file] = /^node (\S+)/.exec(scripts[script]!) ?? [];
    if (file) expect(existsSync(file), `npm run ${script} needs ${file}`).toBe(true);
  });

  const code = [...readme.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);
  const inCode = code.filter((text) => /^(?:src|test|manifests|certs|\.ci)\/[\w./-]*$/.test(text));
  const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path]) => path!);

  it.each([...new Set([...inCode, ...links])])('%s', (path) => {
    expect(existsSync(path)).toBe(true);
  });

  it.each([...readme.matchAll(/\]\(#([\w-]+)\)/g)].map(([, anchor]) => anchor!))('#%s', (anchor) => {
    const headings = [...readme.matchAll(/^#+ (.+)$/gm)].map(([, text]) =>
      text!
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
    expect(headings).toContain(anchor);
  });

  it('the span of the table of releases', () => {
    const { core } = JSON.parse(readFileSync('src/release/heads.json', 'utf8'));
    const versions = Object.keys(core.releases);
    expect(readme).toContain(`${versions[0]} to ${versions.at(-1)}`);
  });
});

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
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
  });
  const files = listed.split('\0').filter((file) => file && existsSync(file));
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
