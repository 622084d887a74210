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

function afterReset(kept: number, base: Pages | null = BASE): SizeSinceReset {
  const size = new SizeSinceReset();
  assert.equal(size.see(pages(kept), at(0)), kept);
  size.reset(base, at(1));
  return size;
}

describe('what a guest keeps after its machine was reset', () => {
  it('is not known until it is another than before', () => {
    const size = afterReset(300);
    assert.deepEqual([size.see(pages(300), at(2)), size.see(pages(300), at(60))], [null, null]);
    assert.deepEqual([size.see(pages(999), at(61)), size.see(pages(300), at(62))], [999, 300]);
  });

  it('is not what the kernel before did, of which the word comes late', () => {
    const size = afterReset(300);
    assert.equal(size.see(pages(280), at(2)), null);
    assert.equal(size.see(pages(280), at(3)), null);
    assert.equal(size.see(pages(999), at(4)), 999);
  });

  it('is known where nothing was in the balloon, or nothing was said before', () => {
    assert.equal(afterReset(998).see(pages(998), at(2)), 998);
    const size = new SizeSinceReset();
    size.reset(null, at(1));
    assert.equal(size.see(pages(500), at(5)), 500);
  });

  it('is asked for all but a page of an empty balloon, so that a new driver has something to say', () => {
    const size = afterReset(300);
    assert.equal(size.askFor(guestSize(BASE), BASE), 999);
    assert.equal(size.askFor(guestSize(pages(400)), BASE), 400);
    assert.equal(size.askFor(guestSize(BASE), null), 1_000);
    size.see(pages(999), at(9));
    assert.equal(size.askFor(guestSize(BASE), BASE), 1_000);
  });
});
