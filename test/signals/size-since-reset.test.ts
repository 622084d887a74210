/**
 * Protects a guest whose machine was reset from being measured by what the kernel before it kept: it would count as not taking what it has
 * already, and be made small again while it boots.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SizeSinceReset } from '../../src/signals/size-since-reset.js';
import { guestSize, millis, pages, type Pages } from '../../src/units.js';

const BASE = pages(1_000);
const at = (seconds: number): ReturnType<typeof millis> => millis(seconds * 1_000);

interface Seen {
  readonly kept: number;
  readonly second: number;
  /** What it was last told to keep. */
  readonly asked?: number;
  readonly base?: Pages | null;
}

/** What it counts as keeping, and what it may touch. */
function see(size: SizeSinceReset, { kept, second, asked, base = BASE }: Seen): readonly number[] {
  const now = size.see(pages(kept), { base, asked: asked === undefined ? null : pages(asked) }, at(second));
  assert.ok(now !== null);
  return [now.keeps, now.mayTouch];
}

/** It kept so much at second 0, and its machine is reset at second 1. */
function afterReset(kept: number, base: Pages | null = BASE): SizeSinceReset {
  const size = new SizeSinceReset();
  assert.deepEqual(see(size, { kept, second: 0 }), [kept, kept]);
  size.reset(base, at(1));
  return size;
}

describe('what a guest keeps after its machine was reset', () => {
  it('is what it was told that it may, and it may touch all, until something else than before is said', () => {
    const size = afterReset(300);
    assert.deepEqual(see(size, { kept: 300, second: 2 }), [300, 1_000]);
    assert.deepEqual(see(size, { kept: 300, second: 3, asked: 450 }), [450, 1_000]);
    assert.deepEqual(see(size, { kept: 300, second: 60, asked: 1_000 }), [1_000, 1_000]);
    assert.deepEqual(see(size, { kept: 999, second: 61, asked: 1_000 }), [999, 999]);
    assert.deepEqual(see(size, { kept: 300, second: 62, asked: 300 }), [300, 300]);
  });

  it('is never less than is said, nor more than there is', () => {
    assert.deepEqual(see(afterReset(300), { kept: 300, second: 2, asked: 200 }), [300, 1_000]);
    assert.deepEqual(see(afterReset(300), { kept: 300, second: 2, asked: 1_100 }), [1_000, 1_000]);
  });

  it('is not what the kernel before did, of which the word comes late', () => {
    const size = afterReset(300);
    assert.deepEqual(see(size, { kept: 280, second: 2 }), [280, 1_000]);
    assert.deepEqual(see(size, { kept: 280, second: 3 }), [280, 1_000]);
    assert.deepEqual(see(size, { kept: 999, second: 4 }), [999, 999]);
  });

  it('is what is said as soon as the balloon is heard to have moved, also to where it was before', () => {
    const size = afterReset(300);
    size.hear(at(2));
    assert.deepEqual(see(size, { kept: 300, second: 2.4 }), [300, 1_000], 'that may be the kernel before');
    size.hear(at(3));
    assert.deepEqual(see(size, { kept: 300, second: 2.9, asked: 1_000 }), [1_000, 1_000], 'that look had begun before');
    assert.deepEqual(see(size, { kept: 300, second: 3, asked: 1_000 }), [300, 300]);
  });

  it('is what is said or was told where nobody knows what it has', () => {
    assert.deepEqual(see(afterReset(300), { kept: 300, second: 2, asked: 400, base: null }), [400, 400]);
    assert.equal(afterReset(300).see(null, { base: BASE, asked: null }, at(2)), null);
  });

  it('is what is said where nothing was in the balloon, or nothing was said before', () => {
    assert.deepEqual(see(afterReset(998), { kept: 998, second: 2 }), [998, 998]);
    const size = new SizeSinceReset();
    size.reset(null, at(1));
    assert.deepEqual(see(size, { kept: 500, second: 5 }), [500, 500]);
  });

  it('is asked for all but a page of an empty balloon, so that a new driver has something to say', () => {
    const size = afterReset(300);
    assert.equal(size.askFor(guestSize(BASE), BASE), 999);
    assert.equal(size.askFor(guestSize(pages(400)), BASE), 400);
    assert.equal(size.askFor(guestSize(BASE), null), 1_000);
    see(size, { kept: 999, second: 9 });
    assert.equal(size.askFor(guestSize(BASE), BASE), 1_000);
  });
});
