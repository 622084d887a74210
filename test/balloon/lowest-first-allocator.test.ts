import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BalloonBugError, LowestFirstAllocator, risingRun } from '../../src/balloon/index.js';
import { pages } from '../../src/units.js';

describe('the lowest-first allocator', () => {
  it('hands out the lowest free frames, and no more than it may', () => {
    const allocator = new LowestFirstAllocator([risingRun(10, 5), risingRun(2, 3)], pages(6));
    assert.deepEqual(allocator.take(pages(4)), [risingRun(2, 3), risingRun(10, 1)]);
    assert.deepEqual(allocator.take(pages(4)), [risingRun(11, 2)]);
    assert.deepEqual(allocator.take(pages(4)), []);
    assert.equal(allocator.freePages, 2);
  });

  it('may hand out one more page for each that is freed to it, and merges what touches', () => {
    const allocator = new LowestFirstAllocator([risingRun(0, 10)], pages(0));
    allocator.free([{ start: 13, length: 2, step: -1 }, risingRun(10, 2), risingRun(20, 1)]);
    assert.equal(allocator.allocatablePages, 5);
    assert.deepEqual([...allocator.freeRuns()], [risingRun(0, 14), risingRun(20, 1)]);
    assert.deepEqual(allocator.take(pages(9)), [risingRun(0, 5)]);
  });

  it('refuses a frame that is free already', () => {
    const allocator = new LowestFirstAllocator([risingRun(0, 10)], pages(10));
    assert.throws(() => {
      allocator.free([risingRun(9, 2)]);
    }, BalloonBugError);
    assert.throws(() => new LowestFirstAllocator([risingRun(0, 2), risingRun(1, 1)], pages(0)), BalloonBugError);
  });

  it('refuses what is no run of frames', () => {
    const allocator = new LowestFirstAllocator([], pages(0));
    for (const run of [
      risingRun(-1, 1),
      risingRun(0, 0),
      risingRun(0.5, 1),
      { start: 1, length: 3, step: -1 as const },
    ]) {
      assert.throws(() => {
        allocator.free([run]);
      }, /no run of frames/);
    }
  });
});
