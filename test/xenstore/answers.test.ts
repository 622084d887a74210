import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as answers from '../../src/xenstore/answers.js';
import { XenstoreError } from '../../src/xenstore/errors.js';
import { useSeed } from '../support/seed.js';
import { xenstoreError } from './support/frames.js';

useSeed();

const ASKED = { operation: 'READ', subject: '/a' };
const of = (text: string): Buffer => Buffer.from(text, 'latin1');

/** How each kind of answer is read, what is one, and what is none. */
const READERS: Readonly<
  Record<
    string,
    {
      readonly read: (payload: Buffer) => unknown;
      readonly good: readonly (readonly [string, unknown])[];
      readonly bad: readonly string[];
    }
  >
> = {
  strings: {
    read: (payload) => answers.decodeStrings(payload, ASKED),
    good: [
      ['', []],
      ['\0', ['']],
      ['a\0', ['a']],
      ['a\0bc\0', ['a', 'bc']],
    ],
    bad: ['a', 'a\0b'],
  },
  string: { read: (payload) => answers.decodeString(payload, ASKED), good: [['/x\0', '/x']], bad: ['', 'a\0b\0', 'a'] },
  OK: {
    read: (payload) => {
      answers.decodeOk(payload, ASKED);
    },
    good: [['OK\0', undefined]],
    bad: ['', 'OK', 'ok\0', 'OK\0OK\0', '\0'],
  },
  boolean: {
    read: (payload) => answers.decodeBoolean(payload, ASKED),
    good: [
      ['T\0', true],
      ['F\0', false],
    ],
    bad: ['', 'T', 't\0', 'TRUE\0', '1\0'],
  },
  'transaction id': {
    read: (payload) => answers.decodeTransactionId(payload, ASKED),
    good: [
      ['1\0', 1],
      ['4294967295\0', 4_294_967_295],
    ],
    bad: ['0\0', '-1\0', '4294967296\0', '1', '\0', '1.5\0', '0x10\0', '12345678901\0', ' 1\0', '1e3\0'],
  },
  names: {
    read: (payload) => answers.decodeNames(payload, ASKED),
    good: [
      ['', []],
      ['0\x007\0', ['0', '7']],
    ],
    bad: ['\0', 'a/b\0', 'a\0\0', '..\0', 'a b\0', 'é\0', 'a'],
  },
  'part of a list': {
    read: (payload) => answers.decodeListPart(payload, ASKED),
    good: [
      ['5\0a\0b\0', { generation: '5', names: ['a', 'b'], isLast: false }],
      ['5\0a\0\0', { generation: '5', names: ['a'], isLast: true }],
      ['18446744073709551615\0\0', { generation: '18446744073709551615', names: [], isLast: true }],
    ],
    bad: ['', '\0', '5', '5\0', 'x\0a\0', '-5\0a\0', '5\0a\0\0b\0', '5\0a/b\0'],
  },
  'watch event': {
    read: answers.decodeWatchEvent,
    good: [
      ['/a\0token\0', { path: '/a', token: 'token' }],
      ['@releaseDomain\0t\0', { path: '@releaseDomain', token: 't' }],
      ['/a\0t\0more\0', { path: '/a', token: 't' }],
    ],
    bad: ['', '/a\0', '/a\0token', '/a'],
  },
};

for (const [kind, { read, good, bad }] of Object.entries(READERS)) {
  describe(`an answer's ${kind}`, () => {
    for (const [payload, expected] of good) {
      it(`reads ${JSON.stringify(payload)}`, () => {
        assert.deepEqual(read(of(payload)), expected);
      });
    }
    for (const payload of bad) {
      it(`does not believe ${JSON.stringify(payload)}`, () => {
        assert.throws(() => read(of(payload)), xenstoreError('EPROTO', /^the answer to /));
      });
    }

    it('throws nothing but the protocol error, whatever comes', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 60 }), (payload) => {
          try {
            read(Buffer.from(payload));
          } catch (error) {
            assert.ok(error instanceof XenstoreError && error.xenstoreCode === 'EPROTO', String(error));
            assert.ok(error.message.length < 1500);
          }
        }),
      );
    });
  });
}

describe("a node's value as text", () => {
  it('is UTF-8, without the one NUL that some programs write at its end', () => {
    assert.equal(answers.textOf(Buffer.from('128'), '/a'), '128');
    assert.equal(answers.textOf(Buffer.from('128\0'), '/a'), '128');
    assert.equal(answers.textOf(Buffer.from(''), '/a'), '');
    assert.equal(answers.textOf(Buffer.from('\0'), '/a'), '');
    assert.equal(answers.textOf(Buffer.from('größe'), '/a'), 'größe');
    assert.equal(answers.textOf(Buffer.from('\ufeffx'), '/a'), '\ufeffx');
  });

  for (const bytes of [[0, 0], [0x31, 0, 0x32], [0xff], [0xc3], [0xed, 0xa0, 0x80]]) {
    it(`is none where the bytes are ${bytes.join(' ')}`, () => {
      assert.throws(() => answers.textOf(Buffer.from(bytes), '/a'), xenstoreError('EINVAL', /"\/a" is not text/));
    });
  }
});
