/**
 * TOML text → assignments with their lines. It decides nothing about keys and values; a list of sections is passed on as a
 * value, because no section of ours is one.
 */
import type { AST } from 'toml-eslint-parser';
import { errorText } from '../errors.js';
import { printable, type Assignment } from './assignment.js';

export type TomlResult =
  | { readonly kind: 'read'; readonly assignments: readonly Assignment[] }
  | { readonly kind: 'not-toml'; readonly line: number; readonly column: number; readonly why: string };

/** Stands for a section that was opened and has nothing in it (yet). */
export const OPENED_SECTION = Symbol('an opened section');

/** Reads TOML 1.0 text. `file` is only for what the assignments say of where they come from. */
export async function readToml(text: string, file: string): Promise<TomlResult> {
  const { parseTOML, getStaticTOMLValue } = await import('toml-eslint-parser');
  try {
    // A 0 that nothing follows is read, and said by the parser to be of no length.
    const ended = `${text}\n`;
    const [top] = parseTOML(ended, { tomlVersion: '1.0' }).body;
    const walk = new Walk(ended, file, getStaticTOMLValue);
    for (const node of top.body) walk.node(node);
    return { kind: 'read', assignments: walk.assignments };
  } catch (error) {
    return { kind: 'not-toml', ...whereFailed(error), why: errorText(error) };
  }
}

function whereFailed(error: unknown): { readonly line: number; readonly column: number } {
  const isPlaced = typeof error === 'object' && error !== null && 'lineNumber' in error && 'column' in error;
  if (!isPlaced || typeof error.lineNumber !== 'number' || typeof error.column !== 'number')
    return { line: 1, column: 1 };
  return { line: error.lineNumber, column: error.column + 1 };
}

const isIndex = (part: string | number): part is number => typeof part === 'number';

class Walk {
  readonly assignments: Assignment[] = [];

  constructor(
    private readonly text: string,
    private readonly file: string,
    private readonly valueOf: (node: AST.TOMLContentNode) => unknown,
  ) {}

  node(node: AST.TOMLKeyValue | AST.TOMLTable): void {
    if (node.type === 'TOMLKeyValue') this.#keyValue(node, []);
    else this.#table(node);
  }

  #table(table: AST.TOMLTable): void {
    const indexAt = table.resolvedKey.findIndex(isIndex);
    const path = (indexAt < 0 ? table.resolvedKey : table.resolvedKey.slice(0, indexAt)).map(String);
    if (indexAt >= 0) {
      this.#add(path, [], `[[${path.join('.')}]]`, table);
      return;
    }
    this.#add(path, OPENED_SECTION, '', table);
    for (const entry of table.body) this.#keyValue(entry, path);
  }

  #keyValue(entry: AST.TOMLKeyValue, above: readonly string[]): void {
    const own = entry.key.keys.map((key) => (key.type === 'TOMLBare' ? key.name : key.value));
    const path = [...above, ...own];
    if (entry.value.type !== 'TOMLInlineTable') {
      const shown = this.text.slice(...entry.value.range);
      this.#add(path, this.valueOf(entry.value), printable(shown), entry);
      return;
    }
    this.#add(path, OPENED_SECTION, '', entry);
    for (const inner of entry.value.body) this.#keyValue(inner, path);
  }

  #add(path: readonly string[], value: unknown, shown: string, { key }: AST.TOMLKeyValue | AST.TOMLTable): void {
    const { line, column } = key.loc.start;
    this.assignments.push({
      path,
      value,
      shown,
      source: { kind: 'file', file: this.file, line, column: column + 1 },
    });
  }
}
