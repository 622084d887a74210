/** Protects that no two guests of a host have the same id, and that ids are short and clean enough for logs, tables and paths. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { distinctGuestId, markedGuestId } from '../../src/adapter/guest-name.js';

const LONG = 'n'.repeat(300);
const idOf = (name: string, mark: string, ...taken: readonly string[]): string =>
  distinctGuestId({ kind: 'kind', name, mark }, (id) => taken.includes(id));

describe('the id of a guest', () => {
  it('is by its name, unless another has that', () => {
    assert.equal(idOf('web', '/run/web'), 'kind/web');
    assert.equal(idOf('web', '/run/web', 'kind/db'), 'kind/web');
    assert.equal(idOf('web', '/run/web', 'kind/web'), 'kind/web:_run_web');
  });

  it('tells names apart that are the same when they are clean', () => {
    assert.equal(idOf('a b', 'one'), 'kind/a_b');
    assert.equal(idOf('a/b', 'two', 'kind/a_b'), 'kind/a_b:two');
  });

  it('has at most 255 characters, and its mark in full', () => {
    assert.equal(idOf(LONG, 'one').length, 255);
    const marks = ['1', '696ad774-9f42-4362-aca9-8e9560a8c742', '/run/vm/'.repeat(14)];
    for (const mark of marks) {
      const id = markedGuestId({ kind: 'kind', name: LONG, mark });
      assert.equal(id.length, 255);
      assert.ok(id.startsWith('kind/nnn') && id.endsWith(`n:${mark.replaceAll('/', '_')}`));
    }
  });

  it('is cut where the mark alone is too long', () => {
    assert.equal(markedGuestId({ kind: 'kind', name: 'web', mark: LONG }), `kind/:${'n'.repeat(249)}`);
  });
});
