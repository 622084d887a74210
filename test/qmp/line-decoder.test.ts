/** Protects the cutting of the stream into lines: it does not matter in what pieces they come, and nothing makes it grow. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { QmpError } from '../../src/qmp/errors.js';
import { LINE_BYTES_MAX, LineDecoder } from '../../src/qmp/line-decoder.js';
import { decodeMessage, type Message } from '../../src/qmp/message.js';
import { useSeed } from '../support/seed.js';
import { qmpError } from './support/failures.js';

useSeed();

/** What comes of a stream: its lines as text, and whether it was broken off. Looks at what is held after each piece. */
function decodeAll(pieces: readonly Uint8Array[]): { readonly lines: readonly string[]; readonly isBroken: boolean } {
  const decoder = new LineDecoder();
  const lines: string[] = [];
  for (const piece of pieces) {
    try {
      decoder.push(piece, (line) => lines.push(line.toString()));
    } catch (error) {
      assert.ok(error instanceof QmpError && error.qmpCode === 'EPROTO', String(error));
      return { lines, isBroken: true };
    }
    assert.ok(decoder.heldBytes <= LINE_BYTES_MAX);
  }
  return { lines, isBroken: false };
}

/** Cuts at these places, which are fractions of the whole. */
function cut(bytes: Buffer, places: readonly number[]): readonly Buffer[] {
  const at = [0, ...places.map((place) => Math.floor(place * bytes.length)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

const anyPlaces = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 });
const singly = (bytes: Buffer): readonly Buffer[] => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));

const anyEnd = fc.constantFrom('\n', '\r\n');
/** Text of any characters, also of those that take several bytes. */
const anyText = fc.string({ unit: 'binary', maxLength: 40 });
const anyMessage = fc.oneof(
  fc.record({ return: fc.jsonValue({ maxDepth: 3 }), id: fc.nat() }, { noNullPrototype: true }),
  fc.record(
    { event: anyText, data: fc.dictionary(anyText, anyText, { noNullPrototype: true }) },
    { noNullPrototype: true },
  ),
);
const asJson = (value: unknown): string => JSON.stringify(value);

describe('a stream of messages', () => {
  it('gives the same messages however it is cut, also in the midst of a character', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyMessage, anyEnd), { maxLength: 8 }), anyPlaces, (messages, places) => {
        const stream = Buffer.from(messages.map(([message, end]) => asJson(message) + end).join(''));
        const texts = messages.map(([message]) => asJson(message));
        for (const pieces of [cut(stream, places), singly(stream), [stream]]) {
          assert.deepEqual(decodeAll(pieces), { lines: texts, isBroken: false });
        }
      }),
    );
  });

  it('says what was said, in any characters', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 5 }), anyPlaces, (messages, places) => {
        const decoder = new LineDecoder();
        const seen: Message[] = [];
        const stream = Buffer.from(messages.map((message) => `${asJson(message)}\r\n`).join(''));
        for (const piece of cut(stream, places)) decoder.push(piece, (line) => seen.push(decodeMessage(line)));
        const expected = messages.map((message) =>
          'event' in message
            ? { kind: 'event', event: { name: message.event, data: message.data, at: null } }
            : { kind: 'return', id: message.id, value: JSON.parse(asJson(message.return)) as unknown },
        );
        assert.deepEqual(seen, expected);
      }),
    );
  });

  it('needs no end of a line at a certain place, and leaves empty lines out', () => {
    const decoder = new LineDecoder();
    const lines: string[] = [];
    for (const piece of ['\r\n\n', '{"a"', ':1}', '\r', '\n{"b":2}\n\r\n', '{"c":3}']) {
      decoder.push(Buffer.from(piece), (line) => lines.push(line.toString()));
    }
    assert.deepEqual(lines, ['{"a":1}', '{"b":2}']);
    assert.equal(decoder.heldBytes, 7);
  });

  it('can be a view into a larger memory', () => {
    const memory = new Uint8Array(40).fill(0x78);
    memory.set(Buffer.from('abc\n'), 11);
    assert.deepEqual(decodeAll([memory.subarray(11, 15)]).lines, ['abc']);
  });

  it('is not looked at further when whoever takes a line throws, and goes on with the next piece', () => {
    const decoder = new LineDecoder();
    const lines: string[] = [];
    const take = (line: Buffer): void => {
      lines.push(line.toString());
      if (lines.length === 1) throw new Error('enough');
    };
    assert.throws(() => {
      decoder.push(Buffer.from('a\nb\n'), take);
    }, /enough/);
    decoder.push(Buffer.from('c\n'), take);
    assert.deepEqual(lines, ['a', 'c']);
  });
});

describe('a line', () => {
  it('of the longest length is taken, however it comes', () => {
    const longest = Buffer.alloc(LINE_BYTES_MAX + 1, 0x78);
    longest[LINE_BYTES_MAX] = 0x0a;
    for (const places of [[], [0.5], [0.1, 0.2, 0.99]]) {
      const { lines, isBroken } = decodeAll(cut(longest, places));
      assert.equal(isBroken, false);
      assert.deepEqual(
        lines.map((line) => line.length),
        [LINE_BYTES_MAX],
      );
    }
  });

  it('that is one byte longer is not, whether its end has come or not', () => {
    const tooLong = Buffer.alloc(LINE_BYTES_MAX + 2, 0x78);
    tooLong[LINE_BYTES_MAX + 1] = 0x0a;
    for (const stream of [tooLong, tooLong.subarray(0, -1)]) {
      for (const places of [[], [0.5], [0.3, 0.6, 0.9]]) {
        assert.deepEqual(decodeAll(cut(stream, places)), { lines: [], isBroken: true });
      }
    }
  });

  it('without end holds no more than the longest, and then nothing', () => {
    const decoder = new LineDecoder();
    const piece = Buffer.alloc(60_000, 0x78);
    assert.throws(
      () => {
        for (let pushed = 0; pushed < 100; pushed += 1) {
          decoder.push(piece, () => assert.fail('no line has ended'));
          assert.ok(decoder.heldBytes <= LINE_BYTES_MAX);
        }
      },
      qmpError('EPROTO', /more than 1048576 bytes/),
    );
    assert.equal(decoder.heldBytes, 0);
  });

  it('that was too long ends it for good: sound lines that follow are not believed', () => {
    const decoder = new LineDecoder();
    const none = (): void => assert.fail('nothing should have come');
    for (const bytes of [Buffer.alloc(LINE_BYTES_MAX + 1, 0x78), Buffer.from('{}\n')]) {
      assert.throws(() => {
        decoder.push(bytes, none);
      }, qmpError('EPROTO'));
    }
  });

  it('byte by byte costs no more than its length: a slow peer does not make it copy again and again', () => {
    const decoder = new LineDecoder();
    const byte = Buffer.from('x');
    for (let pushed = 0; pushed < LINE_BYTES_MAX; pushed += 1) decoder.push(byte, () => undefined);
    assert.equal(decoder.heldBytes, LINE_BYTES_MAX);
  });
});
