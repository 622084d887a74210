import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodeFrame, HEADER_BYTES, PAYLOAD_BYTES_MAX, type Frame } from '../../src/xenstore/codec.js';
import { XenstoreError } from '../../src/xenstore/errors.js';
import { FrameDecoder } from '../../src/xenstore/frame-decoder.js';
import { useSeed } from '../support/seed.js';
import { anyFrame, xenstoreError } from './support/frames.js';

useSeed();

const HELD_BYTES_MAX = HEADER_BYTES + PAYLOAD_BYTES_MAX;

/** What comes of a stream: its messages, and whether it was broken off. Looks at what is held after each piece. */
function decodeAll(pieces: readonly Uint8Array[]): { readonly frames: readonly Frame[]; readonly isBroken: boolean } {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const piece of pieces) {
    try {
      decoder.push(piece, (frame) => frames.push(frame));
    } catch (error) {
      assert.ok(error instanceof XenstoreError && error.xenstoreCode === 'EPROTO', String(error));
      return { frames, isBroken: true };
    }
    assert.ok(decoder.heldBytes <= HELD_BYTES_MAX);
  }
  return { frames, isBroken: false };
}

/** Cuts at these places, which are fractions of the whole. */
function cut(bytes: Buffer, places: readonly number[]): readonly Buffer[] {
  const at = [0, ...places.map((place) => Math.floor(place * bytes.length)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

const anyPlaces = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 });
const singly = (bytes: Buffer): readonly Buffer[] => Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));

describe('a stream of messages', () => {
  it('gives the same messages however it is cut', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 8 }), anyPlaces, (frames, places) => {
        const stream = Buffer.concat(frames.map(encodeFrame));
        assert.deepEqual(decodeAll(cut(stream, places)), { frames, isBroken: false });
      }),
    );
  });

  it('gives them when it comes byte by byte', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 3 }), (frames) => {
        assert.deepEqual(decodeAll(singly(Buffer.concat(frames.map(encodeFrame)))), { frames, isBroken: false });
      }),
      { numRuns: 20 },
    );
  });

  it('gives a message without a payload as soon as its header is there', () => {
    const frame: Frame = { operation: 'DIRECTORY', requestId: 1, transactionId: 0, payload: Buffer.alloc(0) };
    assert.deepEqual(decodeAll([encodeFrame(frame)]).frames, [frame]);
  });

  it('gives messages that keep nothing else in memory', () => {
    const frame: Frame = { operation: 'READ', requestId: 1, transactionId: 0, payload: Buffer.from('value') };
    const chunk = Buffer.concat([encodeFrame(frame), Buffer.alloc(0)]);
    const [decoded] = decodeAll([chunk]).frames;
    chunk.fill(0xff);
    assert.deepEqual(decoded, frame);
  });

  it('can be a view into a larger memory', () => {
    const frame: Frame = { operation: 'READ', requestId: 7, transactionId: 0, payload: Buffer.from('value') };
    const bytes = encodeFrame(frame);
    const memory = new Uint8Array(bytes.length + 20);
    memory.set(bytes, 11);
    assert.deepEqual(decodeAll([memory.subarray(11, 11 + bytes.length)]).frames, [frame]);
  });
});

describe('garbage', () => {
  it('gives nothing but the protocol error, and is never held beyond one message', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 40 }), (pieces) => {
        decodeAll(pieces);
      }),
    );
  });

  it('after sound messages leaves those as they were, however it is cut', () => {
    const garbage = Buffer.alloc(HEADER_BYTES, 0xff);
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 5 }), anyPlaces, (frames, places) => {
        const stream = Buffer.concat([...frames.map(encodeFrame), garbage]);
        assert.deepEqual(decodeAll(cut(stream, places)), { frames, isBroken: true });
      }),
    );
  });

  it('ends it for good: sound messages that follow are not believed', () => {
    const decoder = new FrameDecoder();
    const none = (): void => {
      assert.fail('nothing should have come');
    };
    const broken = xenstoreError('EPROTO', /unknown type 4294967295/);
    assert.throws(() => {
      decoder.push(Buffer.alloc(HEADER_BYTES, 0xff), none);
    }, broken);
    const sound = encodeFrame({ operation: 'READ', requestId: 1, transactionId: 0, payload: Buffer.from('x') });
    assert.throws(() => {
      decoder.push(sound, none);
    }, broken);
  });

  it('without end in one message never begins to be kept', () => {
    const decoder = new FrameDecoder();
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(2, 0);
    header.writeUInt32LE(2 ** 31, 12);
    assert.throws(
      () => {
        decoder.push(header, () => undefined);
      },
      xenstoreError('EPROTO', /2147483648/),
    );
    assert.ok(decoder.heldBytes <= HELD_BYTES_MAX);
  });

  it('of sound headers without an end holds one message and no more', () => {
    const decoder = new FrameDecoder();
    const frame = encodeFrame({ operation: 'READ', requestId: 1, transactionId: 0, payload: Buffer.alloc(4096) });
    let count = 0;
    for (let pushed = 0; pushed < 500; pushed += 1) {
      decoder.push(frame.subarray(0, 4000), () => (count += 1));
      assert.ok(decoder.heldBytes <= HELD_BYTES_MAX);
      decoder.push(frame.subarray(4000), () => (count += 1));
      assert.equal(decoder.heldBytes, 0);
    }
    assert.equal(count, 500);
  });
});
