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

const see = (size: SizeSinceReset, kept: number, seconds: number): number | null =>
  size.see(pages(kept), BASE, at(seconds));

function afterReset(kept: number, base: Pages | null = BASE): SizeSinceReset {
  const size = new SizeSinceReset();
  assert.equal(see(size, kept, 0), kept);
  size.reset(base, at(1));
  return size;
}

describe('what a guest keeps after its machine was reset', () => {
  it('is all that it has until something else than before is said', () => {
    const size = afterReset(300);
    assert.deepEqual([see(size, 300, 2), see(size, 300, 60)], [1_000, 1_000]);
    assert.deepEqual([see(size, 999, 61), see(size, 300, 62)], [999, 300]);
  });

  it('is not what the kernel before did, of which the word comes late', () => {
    const size = afterReset(300);
    assert.equal(see(size, 280, 2), 1_000);
    assert.equal(see(size, 280, 3), 1_000);
    assert.equal(see(size, 999, 4), 999);
  });

  it('is not known where nobody says what it has', () => {
    assert.equal(afterReset(300).see(pages(300), null, at(2)), null);
  });

  it('is what is said where nothing was in the balloon, or nothing was said before', () => {
    assert.equal(see(afterReset(998), 998, 2), 998);
    const size = new SizeSinceReset();
    size.reset(null, at(1));
    assert.equal(see(size, 500, 5), 500);
  });

  it('is asked for all but a page of an empty balloon, so that a new driver has something to say', () => {
    const size = afterReset(300);
    assert.equal(size.askFor(guestSize(BASE), BASE), 999);
    assert.equal(size.askFor(guestSize(pages(400)), BASE), 400);
    assert.equal(size.askFor(guestSize(BASE), null), 1_000);
    see(size, 999, 9);
    assert.equal(size.askFor(guestSize(BASE), BASE), 1_000);
  });
});
