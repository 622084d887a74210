import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FrameSet } from '../../src/balloon/frame-set.js';
import { useSeed } from '../support/seed.js';
import { compress, expand } from './support/frames.js';

useSeed();

const change = fc.record({
  kind: fc.constantFrom('add', 'remove', 'take'),
  start: fc.integer({ min: 0, max: 60 }),
  length: fc.integer({ min: 1, max: 12 }),
});

const framesOf = (start: number, length: number): number[] => Array.from({ length }, (_, at) => start + at);

/** The same change on a plain set, `far` lower. */
function changePlain(plain: Set<number>, kind: string, frames: readonly number[]): boolean {
  if (kind === 'add' && frames.some((frame) => plain.has(frame))) return false;
  if (kind === 'remove' && !frames.every((frame) => plain.has(frame))) return false;
  for (const frame of frames) {
    if (kind === 'add') plain.add(frame);
    else plain.delete(frame);
  }
  return true;
}

describe('a set of frames', () => {
  it('is like a plain set, for small frame numbers and for ones near 2^36', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), fc.constantFrom(0, 2 ** 36 - 40), (changes, far) => {
        const set = new FrameSet();
        const plain = new Set<number>();
        for (const { kind, start, length } of changes) {
          if (kind === 'take') {
            const run = set.takeLowest(length);
            const frames = run === null ? [] : expand([run]);
            const lowest = [...plain].sort((a, b) => a - b).slice(0, frames.length);
            assert.deepEqual(frames, lowest);
            assert.equal(frames.length === 0, plain.size === 0);
            changePlain(plain, 'remove', frames);
          } else {
            const changed =
              kind === 'add'
                ? set.add(far + start, far + start + length)
                : set.remove(far + start, far + start + length);
            assert.equal(changed, changePlain(plain, kind, framesOf(far + start, length)));
          }
          const sorted = [...plain].sort((a, b) => a - b);
          assert.deepEqual([...set.runs()], compress(sorted));
          assert.equal(set.size, plain.size);
          assert.equal(set.has(far + start), plain.has(far + start));
        }
      }),
    );
  });

  it('keeps its order over many chunks, whatever the order of changes', () => {
    const set = new FrameSet();
    const count = 5000;
    for (let at = 0; at < count; at += 1) set.add(((at * 2357) % count) * 2, ((at * 2357) % count) * 2 + 1);
    assert.equal([...set.runs()].length, count);
    assert.equal(set.add(2 * 4711, 2 * 4711 + 1), false);
    for (let at = 0; at < count - 1; at += 1)
      set.add(((at * 1213) % (count - 1)) * 2 + 1, ((at * 1213) % (count - 1)) * 2 + 2);
    assert.deepEqual([...set.runs()], [{ start: 0, length: 2 * count - 1, step: 1 }]);
    for (let at = 1; at < count; at += 1)
      assert.equal(set.remove(((at * 2357) % count) * 2, ((at * 2357) % count) * 2 + 1), true);
    assert.equal(set.size, count);
  });
});
