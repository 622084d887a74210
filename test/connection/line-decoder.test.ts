/**
 * Protects the cutting of a stream into lines where a long line is skipped and where only the newest line counts. That the lines are
 * the same however a stream is cut is shown with the monitor's own decoder, which is made of this one.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LineDecoder } from '../../src/connection/line-decoder.js';
import { useSeed } from '../support/seed.js';

useSeed();

const BYTES_MAX = 16;

class Rig {
  readonly lines: string[] = [];
  tooLong = 0;
  readonly decoder = new LineDecoder({ bytesMax: BYTES_MAX, onTooLong: () => (this.tooLong += 1) });

  push(...pieces: readonly string[]): this {
    for (const piece of pieces) this.decoder.push(Buffer.from(piece), this.#take);
    return this;
  }

  pushNewest(...pieces: readonly string[]): this {
    for (const piece of pieces) this.decoder.pushNewest(Buffer.from(piece), this.#take);
    return this;
  }

  readonly #take = (line: Buffer): void => {
    this.lines.push(line.toString());
  };
}

const LONG = 'x'.repeat(BYTES_MAX + 1);

describe('a line that is too long', () => {
  it('is told once and skipped, and the next one is taken', () => {
    for (const pieces of [
      [`a\n${LONG}\nb\n`],
      ['a\n', LONG, '\nb\n'],
      ['a\n', ...Array.from(LONG), ...Array.from(LONG), '\n', 'b', '\n'],
      [`a\n${LONG}`, `${LONG}\n`, 'b\n'],
    ]) {
      const { lines, tooLong } = new Rig().push(...pieces);
      assert.deepEqual([lines, tooLong], [['a', 'b'], 1], JSON.stringify(pieces));
    }
  });

  it('without an end holds nothing, however much of it comes', () => {
    const rig = new Rig();
    for (let pushed = 0; pushed < 1_000; pushed += 1) {
      rig.push('x'.repeat(10_000));
      assert.equal(rig.decoder.heldBytes, 0);
    }
    assert.equal(rig.tooLong, 1);
    assert.deepEqual(rig.push('\nok\n').lines, ['ok']);
  });

  it('is one byte above the limit; its end, of one byte or two, does not count for it but for the return', () => {
    const longest = 'x'.repeat(BYTES_MAX);
    assert.deepEqual(new Rig().push(`${longest}\n`).lines, [longest]);
    assert.equal(new Rig().push(`${LONG}\n`).tooLong, 1);
    assert.equal(new Rig().push(`${longest}\r\n`).tooLong, 1);
  });
});

describe('the newest line', () => {
  it('is the last of those that a piece completes, whatever was before it', () => {
    assert.deepEqual(new Rig().pushNewest('a\nb\nc\nrest').lines, ['c']);
    assert.deepEqual(new Rig().pushNewest('half', ' a\nb\nc', 'd\n').lines, ['b', 'cd']);
    assert.deepEqual(new Rig().pushNewest(LONG, '\nb\n').lines, ['b']);
  });

  it('is not an empty one: those that end a half line stand before a report or after it', () => {
    assert.deepEqual(new Rig().pushNewest('a\nb\n\n\n').lines, ['b']);
    assert.deepEqual(new Rig().pushNewest('\n\na\n\n').lines, ['a']);
    assert.deepEqual(new Rig().pushNewest('abc', '\n\n').lines, ['abc']);
    assert.deepEqual(new Rig().pushNewest('abc', '\n\nde', 'f\n').lines, ['abc', 'def']);
    assert.deepEqual(new Rig().pushNewest('\n', '\n\n').lines, []);
  });

  it('of each piece is what all lines of that piece would have ended with', () => {
    const piece = fc
      .array(fc.constantFrom('a', 'b', '\n', '\n', LONG), { maxLength: 12 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const all = new Rig();
        const newest = new Rig();
        for (const text of pieces) {
          const before = [all.lines.length, newest.lines.length] as const;
          all.push(text);
          newest.pushNewest(text);
          const given = newest.lines.slice(before[1]);
          // Where the newest was too long, an older one is not given in its place.
          if (given.length > 0) assert.deepEqual(given, all.lines.slice(before[0]).slice(-1));
          assert.equal(newest.decoder.heldBytes, all.decoder.heldBytes);
        }
      }),
    );
  });

  it('among a million others is the only one that is handed on', () => {
    const flood = Buffer.from(`${'{}\n'.repeat(1_000_000)}last\n`);
    let given = 0;
    new LineDecoder({ bytesMax: BYTES_MAX, onTooLong: () => undefined }).pushNewest(flood, () => (given += 1));
    assert.equal(given, 1);
  });
});
