/**
 * Protects that a guest which plugs memory in or out is not taken for larger or smaller than it is because its host and its kernel speak
 * of different moments: what comes of that is a guest that swings.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Reading } from '../../src/control/reading.js';
import { knownAt, NOT_REPORTED, type Signal } from '../../src/control/signal.js';
import { KernelShare } from '../../src/signals/kernel-share.js';
import { mib, mibToPages, millis, pages, type Pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';
import { BLOCK, sharedGuest, SharedHost, type SharedGuest } from '../support/shared-host.js';

const inPages = (size: number): Pages => mibToPages(mib(size));

/** Sizes in MiB; nothing is plugged in, or what is does not matter. The guest has spoken a tenth of a second before the look's end, unless it was `saidAt`, in seconds. */
interface Look {
  readonly second: number;
  readonly held: number;
  readonly total: number;
  readonly saidAt?: number;
  readonly asked?: number;
  readonly cannotGrow?: boolean;
}

function lookOf({ second, held, total, saidAt = second - 0.1, asked = 0, cannotGrow = false }: Look): Reading {
  const at = millis(second * 1_000);
  const sized = readingOf({ at, current: inPages(held), free: inPages(total) });
  const growth = {
    plugged: knownAt(pages(0), at),
    asked: knownAt(inPages(asked), at),
    pluggable: knownAt(inPages(768), at),
  };
  const said = knownAt(inPages(total), millis(saidAt * 1_000));
  return { ...sized, total: said, ...(cannotGrow ? {} : { growth }) };
}

const mibOf = (signal: Signal<Pages>): number | null => (signal.known ? signal.value / 256 : null);

function totalsOf(...looks: readonly Look[]): (number | null)[] {
  const share = new KernelShare({ isHostLate: false });
  return looks.map((look) => mibOf(share.settle(lookOf(look)).total));
}

const AT_REST = [
  { second: 1, held: 158, total: 104 },
  { second: 2, held: 158, total: 104 },
] as const;

describe('the total of a guest that can grow', () => {
  it('is by what its kernel keeps, where it was seen to plug memory in and out', () => {
    // As it was on a real libvirt whose host was busy.
    const [, , ...moving] = totalsOf(
      ...AT_REST,
      { second: 3, held: 574, total: 595 },
      { second: 4, held: 716, total: 612 },
      { second: 5, held: 768, total: 740 },
      { second: 6, held: 768, total: 696 },
    );
    assert.deepEqual(moving, [520, 662, 714, 714]);
  });

  it('is as it comes until its kernel’s share is known, and where it is what that says', () => {
    assert.deepEqual(totalsOf({ second: 1, held: 574, total: 595 }, { second: 2, held: 716, total: 612 }), [595, 612]);
    const reading = lookOf({ second: 3, held: 500, total: 446 });
    const share = new KernelShare({ isHostLate: false });
    for (const look of AT_REST) share.settle(lookOf(look));
    assert.equal(share.settle(reading), reading);
  });

  it('follows a kernel that keeps more than before, once it has for ten seconds', () => {
    const looks = [3, 4, 12, 13].map((second) => ({ second, held: 158, total: 90 }));
    assert.deepEqual(totalsOf(...AT_REST, ...looks), [104, 104, 104, 104, 104, 90]);
  });

  it('is not learnt from a block that is plugged in, and that the kernel has not brought online yet', () => {
    const onlining = [3, 4, 5, 6].map((second) => ({ second, held: 414, total: 104 }));
    const after = { second: 7, held: 414, total: 360 };
    assert.deepEqual(totalsOf(...AT_REST, ...onlining, after).slice(2), [360, 360, 360, 360, 360]);
  });

  it('is not learnt at first while something is on its way, and is from what stands still all the same', () => {
    const looks = [1, 2, 3, 10, 11].map((second) => ({ second, held: 414, total: 104, asked: 300 }));
    const moved = { second: 12, held: 420, total: 360, asked: 300 };
    assert.equal(totalsOf(...looks.slice(0, 4), moved).at(-1), 360);
    assert.equal(totalsOf(...looks, moved).at(-1), 110);
  });

  it('is not learnt from what was said before the first of the two looks', () => {
    const looks = [1, 2, 12].map((second) => ({ second, held: 414, total: 104, saidAt: 0.9 }));
    assert.equal(totalsOf(...looks, { second: 13, held: 420, total: 366 }).at(-1), 366);
  });

  it('leaves nothing free beyond it', () => {
    const share = new KernelShare({ isHostLate: false });
    for (const look of AT_REST) share.settle(lookOf(look));
    assert.equal(mibOf(share.settle(lookOf({ second: 3, held: 574, total: 595 })).free), 520);
  });

  it('is by that in a guest that cannot grow too, where its host hears late of its balloon', () => {
    const share = new KernelShare({ isHostLate: true });
    const looks = [...AT_REST, { second: 3, held: 300, total: 90 }].map((look) => ({ ...look, cannotGrow: true }));
    assert.deepEqual(
      looks.map((look) => mibOf(share.settle(lookOf(look)).total)),
      [104, 104, 246],
    );
  });

  it('of a guest that cannot grow, or of which it is not known, stays', () => {
    const looks = [...AT_REST, { second: 3, held: 300, total: 200 }].map((look) => ({ ...look, cannotGrow: true }));
    assert.deepEqual(totalsOf(...looks), [104, 104, 200]);
    const silent = { ...lookOf({ second: 3, held: 300, total: 200 }), total: NOT_REPORTED };
    assert.equal(new KernelShare({ isHostLate: false }).settle(silent), silent);
  });
});

describe('a guest that plugs memory in while its host looks away', () => {
  const NEED = 500_000;

  /** What was asked to be plugged in, in its order; the host’s word of what is plugged in is a look older than the guest’s of its total. */
  function asked(settle: (reading: Reading) => Reading): readonly number[] {
    const guest = sharedGuest({ held: 200_000, maximum: 200_000, pluggable: 800 * BLOCK, plugSpeed: 150 * BLOCK });
    let [before, now] = [sizesOf(guest), sizesOf(guest)];
    const sight = (reading: Reading): Reading => {
      [before, now] = [now, sizesOf(guest)];
      const { plugged, asked: wanted, pluggable } = reading.growth ?? assert.fail();
      const old = { plugged: knownAt(before.plugged, reading.at), asked: wanted, pluggable };
      assert.ok(plugged.known);
      return settle({ ...reading, current: knownAt(before.all, reading.at), growth: old });
    };
    const tunables = { selfballoon_interval: 1, selfballoon_downhysteresis: 2 };
    const host = new SharedHost({ total: 900_000, guests: { guest }, tunables, sight });
    host.liveUntil(60);
    guest.committed = NEED;
    host.liveUntil(180);
    return host.growths.map(({ plugged }) => plugged);
  }

  const sizesOf = ({ held, plugged }: SharedGuest): { readonly all: Pages; readonly plugged: Pages } => ({
    all: pages(held + plugged),
    plugged: pages(plugged),
  });
  const isSwing = (sizes: readonly number[]): boolean => sizes.some((size, place) => size < (sizes[place - 1] ?? 0));

  it('is asked to grow, and not to shrink before it has', () => {
    const share = new KernelShare({ isHostLate: false });
    const sizes = asked((reading) => share.settle(reading));
    assert.ok(sizes.length > 0 && !isSwing(sizes), sizes.join(' '));
  });

  it('swings where its total is taken as it comes', () => {
    const sizes = asked((reading) => reading);
    assert.ok(isSwing(sizes), sizes.join(' '));
  });
});
