/**
 * Protects the rooms: which may import which, that there are no cycles, and that the pure rooms read no clock, file, socket or
 * random source. ARCHITECTURE.md says the same in words.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, it } from 'node:test';
import ts from 'typescript';
import { REPOSITORY } from './support/paths.js';

const SRC = join(REPOSITORY, 'src');

/** What each room may import, besides itself. A trailing slash stands for everything below. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'units.ts': [],
  'errors.ts': [],
  policies: ['control', 'units.ts', 'errors.ts'],
  balloon: ['units.ts', 'errors.ts'],
  control: ['units.ts', 'errors.ts'],
  waiting: ['control', 'units.ts'],
  adapter: ['control', 'units.ts', 'errors.ts'],
  posix: ['errors.ts'],
  connection: ['control', 'posix', 'units.ts', 'errors.ts'],
  'agent-port': ['connection', 'control', 'signals', 'units.ts', 'errors.ts'],
  signals: ['control', 'posix', 'units.ts', 'errors.ts'],
  xenstore: ['connection', 'control', 'posix', 'waiting', 'units.ts', 'errors.ts'],
  qmp: ['connection', 'control/ports.ts', 'units.ts', 'errors.ts'],
  'guest-agent': ['connection', 'control', 'qmp', 'signals', 'waiting', 'units.ts', 'errors.ts'],
  virsh: ['control', 'waiting', 'units.ts', 'errors.ts'],
  reporter: ['control', 'signals', 'units.ts', 'errors.ts'],
  overflow: ['control', 'signals', 'waiting', 'units.ts', 'errors.ts'],
  'hypervisors/xen-guest': ['adapter', 'control', 'signals', 'waiting', 'units.ts', 'errors.ts'],
  'hypervisors/xen-host': [
    'adapter',
    'control',
    'connection',
    'signals',
    'xenstore',
    'waiting',
    'units.ts',
    'errors.ts',
  ],
  inside: ['agent-port', 'control', 'signals/report-ways.ts', 'units.ts', 'errors.ts'],
  'hypervisors/qmp': [
    'adapter',
    'connection',
    'control',
    'guest-agent',
    'inside',
    'qmp',
    'signals',
    'waiting',
    'units.ts',
    'errors.ts',
  ],
  'hypervisors/libvirt': [
    'adapter',
    'connection',
    'control',
    'guest-agent',
    'inside',
    'signals',
    'virsh',
    'waiting',
    'units.ts',
    'errors.ts',
  ],
  'hypervisors/this-machine': ['adapter', 'control', 'signals', 'waiting', 'units.ts', 'errors.ts'],
  'hypervisors/embedded': ['control', 'sim', 'units.ts', 'errors.ts'],
  runtime: ['control', 'waiting', 'units.ts', 'errors.ts'],
  sim: ['policies', 'balloon', 'control', 'runtime', 'units.ts', 'errors.ts'],
  config: ['control', 'signals/report-ways.ts', 'units.ts', 'errors.ts'],
  server: ['control', 'posix', 'runtime/read-model.ts', 'runtime/commands.ts', 'units.ts', 'errors.ts'],
  cli: [
    'agent-port',
    'config',
    'connection',
    'control',
    'policies',
    'balloon',
    'posix',
    'guest-agent',
    'qmp',
    'signals',
    'reporter',
    'xenstore',
    'virsh',
    'overflow',
    'hypervisors',
    'runtime',
    'sim',
    'server',
    'waiting',
    'units.ts',
    'errors.ts',
  ],
  'index.ts': ['config', 'control', 'policies', 'balloon', 'signals', 'runtime', 'units.ts', 'errors.ts'],
  'testing.ts': ['hypervisors/embedded', 'sim'],
};

/** Rooms whose functions depend on nothing but what they are given. */
const PURE = ['units.ts', 'errors.ts', 'policies', 'balloon', 'control', 'waiting', 'adapter'];
const PURE_NODE_MODULES = ['node:util'];
const IMPURE =
  /\b(Date\.now|new Date\(|Math\.random|performance\.|process\.|setTimeout|setInterval|setImmediate|fetch)\b/;
/** Each has a folder. As a whole word, for `embeddedHost` is none of these. */
const HYPERVISOR_NAMES = readdirSync(join(SRC, 'hypervisors'));
const HYPERVISOR = new RegExp(String.raw`(?<![\w-])(${HYPERVISOR_NAMES.join('|')})(?![\w-])`);
/** Besides the command line and what it is configured by: the client of libvirt must say to whom it talks. */
const MAY_NAME_HYPERVISORS = ['hypervisors', 'cli', 'config', 'virsh'];
const TEMPLATE_PARTS = new Set([ts.SyntaxKind.TemplateHead, ts.SyntaxKind.TemplateMiddle, ts.SyntaxKind.TemplateTail]);
const FORBIDDEN_FOLDERS = ['utils', 'common', 'helpers', 'types'];

interface Import {
  readonly from: string;
  readonly to: string;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

function specifiersOf(file: string): readonly string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(join(SRC, file), 'utf8'), true, true);
  return importedFiles.map(({ fileName }) => fileName);
}

const internal: readonly Import[] = files.flatMap((from) =>
  specifiersOf(from)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => ({ from, to: relative(SRC, resolve(SRC, dirname(from), specifier.replace(/\.js$/, '.ts'))) })),
);

const isIn = (file: string, room: string): boolean => file === room || file.startsWith(`${room}/`);
const roomOf = (file: string): string | undefined => Object.keys(ALLOWED).find((room) => isIn(file, room));

describe('imports', () => {
  it('were found at all', () => {
    assert.ok(internal.length > 200);
  });

  it('keep to what each room may know', () => {
    const wrong = internal.filter(({ from, to }) => {
      const room = roomOf(from);
      if (room === undefined) return true;
      return !isIn(to, room) && !(ALLOWED[room] ?? []).some((allowed) => isIn(to, allowed));
    });
    assert.deepEqual(wrong, []);
  });

  it('have no cycles, type imports included', () => {
    const next = new Map<string, readonly string[]>(
      files.map((file) => [file, internal.filter(({ from }) => from === file).map(({ to }) => to)]),
    );
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      assert.ok(!path.includes(file), `cycle: ${[...path, file].join(' → ')}`);
      if (done.has(file)) return;
      for (const to of next.get(file) ?? []) visit(to, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
  });

  it('let nobody import the command line', () => {
    assert.deepEqual(
      internal.filter(({ from, to }) => isIn(to, 'cli') && !isIn(from, 'cli')),
      [],
    );
  });
});

describe('the pure rooms', () => {
  const pure = files.filter((file) => PURE.some((room) => isIn(file, room)));

  it('import no part of Node.js that reads the world, and no package', () => {
    const wrong = pure.flatMap((file) =>
      specifiersOf(file)
        .filter((specifier) => !specifier.startsWith('.') && !PURE_NODE_MODULES.includes(specifier))
        .map((specifier) => `${file}: ${specifier}`),
    );
    assert.deepEqual(wrong, []);
  });

  it('use no clock, timer or random source', () => {
    const wrong = pure.filter((file) => IMPURE.test(withoutComments(readFileSync(join(SRC, file), 'utf8'))));
    assert.deepEqual(wrong, []);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}

describe('the tree', () => {
  it('has no folder whose name says nothing', () => {
    const folders = new Set(files.flatMap((file) => dirname(file).split('/')));
    assert.deepEqual(
      FORBIDDEN_FOLDERS.filter((folder) => folders.has(folder)),
      [],
    );
  });

  it('names concrete hypervisors only in their own folders, their clients and the command line', () => {
    const outside = files.filter((file) => !MAY_NAME_HYPERVISORS.some((room) => isIn(file, room)));
    const wrong = outside.flatMap((file) =>
      textsIn(file)
        .filter((text) => HYPERVISOR.test(text))
        .map((text) => `${file}: ${text}`),
    );
    assert.deepEqual(wrong, []);
  });

  it('has such names to look for, and finds them inside of sentences', () => {
    assert.ok(HYPERVISOR_NAMES.length > 4);
    assert.match('say --hypervisor xen-host, or not', HYPERVISOR);
    assert.doesNotMatch('xen-hosts and a-qmp', HYPERVISOR);
    assert.ok(textsIn('cli/daemon/find-place.ts').some((text) => HYPERVISOR.test(text)));
    assert.ok(textsIn('cli/commands/report.ts').some((text) => HYPERVISOR.test(text)));
    assert.ok(!textsIn('testing.ts').some((text) => HYPERVISOR.test(text)));
  });
});

/** Everything that stands in quotes in a file (and in templates between their values), but for what it imports. */
function textsIn(file: string): readonly string[] {
  const source = ts.createSourceFile(file, readFileSync(join(SRC, file), 'utf8'), ts.ScriptTarget.Latest, true);
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    if (ts.isStringLiteralLike(node) || TEMPLATE_PARTS.has(node.kind)) texts.push(node.getText(source));
    ts.forEachChild(node, visit);
  };
  visit(source);
  return texts;
}
