/** Protects a guest from being asked to hold more than there is of it, because its balloon was looked at on its way. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { known, NOT_REPORTED, type Field } from '../../src/control/signal.js';
import type { BalloonSizes } from '../../src/hypervisors/xen-guest/codec.js';
import { RestingMaximum } from '../../src/hypervisors/xen-guest/resting-maximum.js';
import { guestSize, pages, type Pages } from '../../src/units.js';

const WHOLE = 131_072;
/** Pages that the driver has put into the balloon and not yet taken from the guest. */
const BETWEEN = 512;

function look(current: number, { target = current, off = 0 } = {}): BalloonSizes {
  return {
    current: known(guestSize(pages(current))),
    target: known(pages(target)),
    maximum: known(pages(WHOLE + off)),
  };
}

const valueOf = (field: Field<Pages>): number | string => (field.known ? field.value : field.reason);

describe('the most that a guest may have', () => {
  it('is seen where the balloon is at its target, to within some pages', () => {
    assert.equal(valueOf(new RestingMaximum().seen(look(100_000))), WHOLE);
    assert.equal(valueOf(new RestingMaximum().seen(look(100_001, { target: 100_000 }))), WHOLE);
  });

  it('is not known from a first look at a balloon on its way', () => {
    assert.equal(valueOf(new RestingMaximum().seen(look(110_000, { target: 100_000, off: BETWEEN }))), 'unreadable');
  });

  it('stays what it was while the balloon moves, and follows when it rests', () => {
    const maximum = new RestingMaximum();
    maximum.seen(look(120_000));
    assert.equal(valueOf(maximum.seen(look(115_000, { target: 100_000, off: BETWEEN }))), WHOLE);
    assert.equal(valueOf(maximum.seen(look(110_000, { target: 100_000, off: -BETWEEN }))), WHOLE);
    // Memory was plugged in.
    assert.equal(valueOf(maximum.seen(look(100_000, { off: 32_768 }))), WHOLE + 32_768);
  });

  it('is known of a balloon that is stuck on its way', () => {
    const maximum = new RestingMaximum();
    maximum.seen(look(110_000, { target: 100_000 }));
    assert.equal(valueOf(maximum.seen(look(110_000, { target: 100_000 }))), WHOLE);
  });

  it('is what there is where nobody says what the target is, and unknown with the reason where it cannot be read', () => {
    assert.equal(valueOf(new RestingMaximum().seen({ ...look(110_000), target: NOT_REPORTED })), WHOLE);
    const maximum = new RestingMaximum();
    maximum.seen(look(110_000));
    assert.equal(valueOf(maximum.seen({ ...look(110_000), maximum: NOT_REPORTED })), 'not-reported');
  });
});
