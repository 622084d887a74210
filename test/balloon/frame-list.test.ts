import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FrameList } from '../../src/balloon/frame-list.js';
import { joinRuns, reverseRun, risingRun, splitRun, type FrameRun } from '../../src/balloon/frame-run.js';
import { useSeed } from '../support/seed.js';
import { expand } from './support/frames.js';

useSeed();

const run: fc.Arbitrary<FrameRun> = fc
  .tuple(fc.integer({ min: 0, max: 80 }), fc.integer({ min: 1, max: 9 }), fc.boolean())
  .map(([start, length, turned]) => (turned ? reverseRun(risingRun(start, length)) : risingRun(start, length)));

describe('runs of frames', () => {
  it('join exactly when their frames, one after the other, are a run', () => {
    fc.assert(
      fc.property(run, run, (a, b) => {
        const joined = joinRuns(a, b);
        const frames = [...expand([a]), ...expand([b])];
        const steps = new Set(frames.slice(1).map((frame, at) => frame - (frames[at] ?? 0)));
        assert.equal(joined !== null, steps.size === 1 && (steps.has(1) || steps.has(-1)));
        if (joined !== null) assert.deepEqual(expand([joined]), frames);
      }),
    );
  });

  it('are cut at a border without losing a frame or their order', () => {
    fc.assert(
      fc.property(run, fc.integer({ min: 0, max: 90 }), (whole, border) => {
        const { below, above } = splitRun(whole, border);
        assert.deepEqual(
          below === null ? [] : expand([below]),
          expand([whole]).filter((frame) => frame < border),
        );
        assert.deepEqual(
          above === null ? [] : expand([above]),
          expand([whole]).filter((frame) => frame >= border),
        );
      }),
    );
  });
});

type Change =
  { readonly kind: 'add'; readonly run: FrameRun } | { readonly kind: 'take' | 'takeLow'; readonly count: number };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), run }),
  fc.record({ kind: fc.constantFrom('take' as const, 'takeLow' as const), count: fc.integer({ min: 0, max: 30 }) }),
);

function changePlain(plain: number[], next: Change, highStart: number): number[] {
  if (next.kind === 'add') {
    for (const frame of expand([next.run])) {
      if (frame < highStart) plain.unshift(frame);
      else plain.push(frame);
    }
    return [];
  }
  const lows = plain.findIndex((frame) => frame >= highStart);
  const takable = next.kind === 'take' || lows === -1 ? plain.length : lows;
  return plain.splice(0, Math.min(next.count, takable));
}

describe('the list', () => {
  it('is like a plain array with low frames joining in front and high ones behind', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 90 }), fc.array(change, { maxLength: 60 }), (highStart, changes) => {
        const list = new FrameList(highStart);
        const plain: number[] = [];
        for (const next of changes) {
          assert.deepEqual(expand(list.peek(7)), plain.slice(0, 7));
          if (next.kind === 'add') list.add(next.run);
          const taken = next.kind === 'add' ? [] : list[next.kind](next.count);
          assert.deepEqual(expand(taken), changePlain(plain, next, highStart));
          assert.deepEqual(expand(list.runs()), plain);
          assert.equal(list.lowCount, plain.filter((frame) => frame < highStart).length);
          assert.equal(list.length, plain.length);
        }
      }),
    );
  });

  it('stays one run while neighbours join one by one', () => {
    const list = new FrameList(2 ** 20);
    for (let frame = 9; frame >= 0; frame -= 1) list.add(risingRun(frame, 1));
    assert.deepEqual([...list.runs()], [risingRun(0, 10)]);
  });

  it('lets go of high runs that were taken', () => {
    const list = new FrameList(0);
    for (let at = 0; at < 1000; at += 1) {
      list.add(risingRun(at * 2, 1));
      list.add(risingRun(100_000 + at * 2, 1));
      list.take(1);
    }
    assert.equal(list.length, 1000);
    assert.equal([...list.runs()].length, 1000);
    assert.deepEqual(expand(list.take(2)), [1000, 101_000]);
  });
});
