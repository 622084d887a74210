/** Protects the citations of the two specifications: whoever looks one up finds what it names. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { REPOSITORY } from './support/paths.js';

const SPECIFICATIONS: Readonly<Record<string, string>> = { 1: 'self-ballooning.md', 2: 'balloon-driver.md' };

const textOf = (path: string): string => readFileSync(join(REPOSITORY, path), 'utf8');

/** "Source: specification 1, "Inputs of one step"", also where the line breaks in it. */
const CITATION = /specification ([12]), ((?:"[^"]+"(?: and )?)+)/gi;

function citationsIn(path: string): readonly { readonly number: string; readonly heading: string }[] {
  const text = textOf(path).replaceAll(/\s*\n \*?\s*/g, ' ');
  return [...text.matchAll(CITATION)].flatMap(([, number = '', headings = '']) =>
    [...headings.matchAll(/"([^"]+)"/g)].map(([, heading = '']) => ({ number, heading })),
  );
}

it('each heading of a specification that the sources cite is there', () => {
  const sources = readdirSync(join(REPOSITORY, 'src'), { recursive: true, encoding: 'utf8' });
  const citations = sources.filter((name) => name.endsWith('.ts')).flatMap((name) => citationsIn(join('src', name)));
  assert.ok(citations.length >= 12, `${citations.length} citations were found`);
  for (const { number, heading } of citations) {
    const text = textOf(join('docs/specification', SPECIFICATIONS[number] ?? ''));
    const headings = [...text.matchAll(/^#+ (.*)$|^\*\*(.*?)\*\*/gm)].map(([line]) => line);
    assert.ok(
      headings.some((line) => line.includes(heading)),
      `specification ${number} has no "${heading}"`,
    );
  }
});
