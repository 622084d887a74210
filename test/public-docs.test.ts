/** Protects those who use the library: whatever an entry point exports has a doc comment. */
import assert from 'node:assert/strict';
import { join, relative } from 'node:path';
import { describe, it } from 'node:test';
import ts from 'typescript';
import { REPOSITORY } from './support/paths.js';

const SRC = join(REPOSITORY, 'src');
const ENTRY_POINTS = ['index.ts', 'testing.ts', 'sim/index.ts'].map((file) => join(SRC, file));

const program = ts.createProgram(ENTRY_POINTS, { strict: true, module: ts.ModuleKind.NodeNext, skipLibCheck: true });
const checker = program.getTypeChecker();

/** Every export, where it is declared; of a namespace also what is in it. */
function exportsOf(module: ts.Symbol, found = new Map<ts.Symbol, string>()): ReadonlyMap<ts.Symbol, string> {
  for (const exported of checker.getExportsOfModule(module)) {
    const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
    const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
    const [declaration] = symbol.declarations ?? [];
    if (declaration === undefined || found.has(symbol)) continue;
    if (ts.isSourceFile(declaration)) exportsOf(symbol, found);
    else found.set(symbol, relative(SRC, declaration.getSourceFile().fileName));
  }
  return found;
}

const found = new Map<ts.Symbol, string>();
for (const file of ENTRY_POINTS) {
  const source = program.getSourceFile(file);
  const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
  if (module !== undefined) exportsOf(module, found);
}

describe('what the library exports', () => {
  it('was found at all', () => {
    assert.ok(found.size > 200, String(found.size));
  });

  it('has a doc comment', () => {
    const bare = [...found]
      .filter(([symbol]) => symbol.getDocumentationComment(checker).length === 0)
      .map(([symbol, file]) => `${file}: ${symbol.name}`);
    assert.deepEqual(bare, []);
  });
});
