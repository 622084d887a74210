/** The bytes of the protocol, spelled out: what both ends of a test have in common cannot be proved by the two agreeing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeHeader, encodeFrame, encodeStrings, HEADER_BYTES } from '../../src/xenstore/codec.js';
import { OPERATION_NUMBERS, operationOf, type Operation } from '../../src/xenstore/operations.js';
import { useSeed } from '../support/seed.js';
import { anyFrame, xenstoreError } from './support/frames.js';

useSeed();

/** From `xs_wire.h` of Xen 4.17. */
const NUMBERS: readonly (readonly [number, Operation | null])[] = [
  [0, 'CONTROL'],
  [1, 'DIRECTORY'],
  [2, 'READ'],
  [3, 'GET_PERMS'],
  [4, 'WATCH'],
  [5, 'UNWATCH'],
  [6, 'TRANSACTION_START'],
  [7, 'TRANSACTION_END'],
  [8, 'INTRODUCE'],
  [9, 'RELEASE'],
  [10, 'GET_DOMAIN_PATH'],
  [11, 'WRITE'],
  [12, 'MKDIR'],
  [13, 'RM'],
  [14, 'SET_PERMS'],
  [15, 'WATCH_EVENT'],
  [16, 'ERROR'],
  [17, 'IS_DOMAIN_INTRODUCED'],
  [18, 'RESUME'],
  [19, 'SET_TARGET'],
  [20, null],
  [21, 'RESET_WATCHES'],
  [22, 'DIRECTORY_PART'],
  [23, null],
  [0xffff, null],
  [0xffffffff, null],
];

describe('the numbers of operations', () => {
  for (const [number, name] of NUMBERS) {
    it(`${number} is ${name ?? 'nothing'}`, () => {
      assert.equal(operationOf(number), name);
      if (name !== null) assert.equal(OPERATION_NUMBERS[name], number);
    });
  }

  it('are all in this table', () => {
    assert.equal(Object.keys(OPERATION_NUMBERS).length, NUMBERS.filter(([, name]) => name !== null).length);
  });
});

describe('a message as bytes', () => {
  it('begins with type, request id, transaction id and length, low byte first', () => {
    const payload = Buffer.from('/a\0x');
    const bytes = encodeFrame({ operation: 'WRITE', requestId: 0x01020304, transactionId: 0xfffffffe, payload });
    assert.equal(bytes.toString('hex'), ['0b000000', '04030201', 'feffffff', '04000000', '2f610078'].join(''));
  });

  it('may be empty, and may be full', () => {
    const empty = encodeFrame({ operation: 'READ', requestId: 1, transactionId: 0, payload: Buffer.alloc(0) });
    assert.equal(empty.length, HEADER_BYTES);
    const full = encodeFrame({ operation: 'READ', requestId: 1, transactionId: 0, payload: Buffer.alloc(4096) });
    assert.equal(full.length, HEADER_BYTES + 4096);
  });

  it('is never made larger than xenstored takes, for that would cost the connection', () => {
    const frame = { operation: 'WRITE', requestId: 1, transactionId: 0, payload: Buffer.alloc(4097) } as const;
    assert.throws(() => encodeFrame(frame), xenstoreError('E2BIG', /4097 bytes.*4096/));
  });

  for (const id of [-1, 1.5, 2 ** 32, NaN]) {
    it(`has no id ${id}`, () => {
      const frame = { operation: 'READ', requestId: 1, transactionId: 0, payload: Buffer.alloc(0) } as const;
      assert.throws(() => encodeFrame({ ...frame, requestId: id }), xenstoreError('EINVAL', /not an id/));
      assert.throws(() => encodeFrame({ ...frame, transactionId: id }), xenstoreError('EINVAL', /not an id/));
    });
  }

  it('reads as what was written', () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        const bytes = encodeFrame(frame);
        const { payload, ...ids } = frame;
        assert.deepEqual(decodeHeader(bytes), { ...ids, payloadBytes: payload.length });
        assert.deepEqual(bytes.subarray(HEADER_BYTES), payload);
      }),
    );
  });
});

describe('a header from outside', () => {
  const header = (type: number, length: number): Buffer => {
    const bytes = Buffer.alloc(HEADER_BYTES);
    bytes.writeUInt32LE(type, 0);
    bytes.writeUInt32LE(length, 12);
    return bytes;
  };

  it('may announce 4096 bytes and no more', () => {
    assert.equal(decodeHeader(header(2, 4096)).payloadBytes, 4096);
    assert.throws(() => decodeHeader(header(2, 4097)), xenstoreError('EPROTO', /4097/));
    assert.throws(() => decodeHeader(header(2, 0xffffffff)), xenstoreError('EPROTO', /4294967295/));
  });

  it('may not have a type that the protocol does not know', () => {
    for (const type of [20, 23, 0xffff]) {
      assert.throws(() => decodeHeader(header(type, 0)), xenstoreError('EPROTO', new RegExp(`type ${type}`)));
    }
  });
});

describe('the strings of a request', () => {
  it('end in a NUL each', () => {
    assert.equal(encodeStrings('/a', 'token').toString('latin1'), '/a\0token\0');
    assert.equal(encodeStrings('').toString('latin1'), '\0');
    assert.equal(encodeStrings().length, 0);
  });

  it('have none inside, for what follows it would be read as something else', () => {
    assert.throws(() => encodeStrings('/a\0/b'), xenstoreError('EINVAL', /NUL/));
  });
});
