/** Protects PVH guests, of which Xen counts pages that no target does: they are where they were asked to be, and never creep by those pages. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Uncounted } from '../../../src/hypervisors/xen-host/uncounted.js';
import { kib, kibToPagesDown, pages } from '../../../src/units.js';

/** What counts as held by a domain that holds so many pages and was asked to hold so many. */
function heldBy(uncounted: Uncounted, held: number, asked: number | null): number {
  const domain = { domid: 1, held: kib(held * 4), maximum: null, isDying: false };
  const seen = uncounted.without([domain], () => (asked === null ? null : pages(asked))).get(1);
  return kibToPagesDown(seen?.held ?? assert.fail());
}

describe('a domain with pages that no target counts', () => {
  it('holds its target, at any size', () => {
    const uncounted = new Uncounted();
    assert.equal(heldBy(uncounted, 65_552, 65_536), 65_536);
    assert.equal(heldBy(uncounted, 131_088, 131_072), 131_072);
  });

  it('has them on its way too, in both directions', () => {
    const uncounted = new Uncounted();
    heldBy(uncounted, 65_552, 65_536);
    assert.equal(heldBy(uncounted, 65_552, 60_000), 65_536);
    assert.equal(heldBy(uncounted, 65_552, 80_000), 65_536);
    assert.equal(heldBy(uncounted, 70_016, 80_000), 70_000);
  });

  it('is taken at its word where it was never seen at rest, or nobody knows what it was asked for', () => {
    assert.equal(heldBy(new Uncounted(), 65_601, 65_536), 65_601);
    assert.equal(heldBy(new Uncounted(), 65_535, 65_536), 65_535);
    assert.equal(heldBy(new Uncounted(), 65_552, null), 65_552);
  });

  it('does not have them any more when it is at its target without them', () => {
    const uncounted = new Uncounted();
    heldBy(uncounted, 65_552, 65_536);
    heldBy(uncounted, 60_000, 60_000);
    assert.equal(heldBy(uncounted, 60_000, 50_000), 60_000);
  });

  it('may have them on top of what it is asked for, or as many as there can be', () => {
    const uncounted = new Uncounted();
    assert.equal(uncounted.with(1, pages(100_000)), 100_064);
    heldBy(uncounted, 65_552, 65_536);
    assert.equal(uncounted.with(1, pages(100_000)), 100_016);
  });

  it('is forgotten when it is gone', () => {
    const uncounted = new Uncounted();
    heldBy(uncounted, 65_552, 65_536);
    uncounted.without([], () => null);
    assert.equal(heldBy(uncounted, 65_552, 60_000), 65_552);
  });
});
