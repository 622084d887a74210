/**
 * Protects the order in which a look at a guest is taken in: each step builds on those before it, and a host that is told of too late
 * promises memory twice.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { knownAt, type Signal } from '../../src/control/signal.js';
import {
  FollowedGuest,
  residentAs,
  type Followed,
  type Residence,
  type Sight,
} from '../../src/signals/followed-guest.js';
import { guestSize, millis, pages, type Millis, type Pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';

const BASE = pages(100_000);
const at = (seconds: number): Millis => millis(seconds * 1_000);

/** What one look brings, in pages. */
interface Look {
  readonly second: number;
  readonly said: number | null;
  readonly asked?: number | null;
  readonly plugged?: number;
  readonly residence?: Residence;
  readonly used?: number;
  readonly total?: number;
}

interface Taken {
  /** What happened, in its order. */
  readonly steps: readonly string[];
  readonly keeps: Pages | null;
  /** By what was known when the reading was made. */
  readonly held: Pages | null;
  readonly usedBefore: Pages | null;
  readonly total: Signal<Pages>;
}

class Rig {
  readonly guest: FollowedGuest;

  constructor({ base = BASE, ...options }: { base?: Pages | null; before?: FollowedGuest; isHostLate?: boolean } = {}) {
    this.guest = new FollowedGuest({ isHostLate: false, ...options });
    this.guest.noteBase(base);
  }

  look(look: Look): Taken {
    const steps: string[] = [];
    const seen: (Followed & { readonly used: Pages | null })[] = [];
    const reading = this.guest.read(sightOf(look, steps), {
      onMoreUntouched: () => void steps.push(`more: ${this.guest.untouched}`),
      makeReading: (followed) => {
        steps.push('reading');
        seen.push({ ...followed, used: followed.before.used });
        const { keeps } = followed;
        const made = readingOf({ at: at(look.second), ...(keeps === null ? {} : { current: keeps }) });
        const said = look.total === undefined ? {} : { total: knownAt(pages(look.total), at(look.second - 0.1)) };
        return { ...made, ...said, ...(look.used === undefined ? {} : { used: knownAt(pages(look.used), made.at) }) };
      },
    });
    const [first] = seen;
    assert.ok(first !== undefined && seen.length === 1);
    const held = first.before.at(at(look.second));
    return { steps, keeps: first.keeps, held, usedBefore: first.used, total: reading.total };
  }
}

function sightOf(
  { said, asked = null, plugged = 0, second, residence = residentAs(pages(0)) }: Look,
  steps: string[],
): Sight {
  return {
    said: said === null ? null : pages(said),
    asked: asked === null ? null : pages(asked),
    plugged: pages(plugged),
    at: at(second),
    residence: {
      noteHeld: (size) => {
        steps.push(`held: ${size}`);
        residence.noteHeld(size);
      },
      resident: () => {
        steps.push('resident');
        return residence.resident();
      },
    },
  };
}

describe('a look at a guest', () => {
  it('tells of the host before it makes the guest’s own reading, and has taken in by then what the guest holds', () => {
    const rig = new Rig();
    rig.look({ second: 1, said: 300, plugged: 50 });
    const { steps, keeps, held } = rig.look({ second: 2, said: 400, plugged: 80 });
    assert.deepEqual(steps, ['held: 480', 'resident', 'more: 130', 'reading']);
    assert.deepEqual([keeps, held], [400, 480]);
  });

  it('tells of the host only where it has less for others than before', () => {
    const rig = new Rig();
    const looks = [300, 400, 400, 350, 420].map((said, second) => rig.look({ second, said }).steps.slice(-2));
    assert.deepEqual(looks, [
      ['held: 300', 'reading'],
      ['more: 100', 'reading'],
      ['resident', 'reading'],
      ['resident', 'reading'],
      ['more: 120', 'reading'],
    ]);
  });

  it('asks what its process has only where the guest holds more than the least that it held', () => {
    const rig = new Rig();
    assert.ok(!rig.look({ second: 1, said: 300 }).steps.includes('resident'));
    assert.ok(!rig.look({ second: 2, said: 250 }).steps.includes('resident'));
    assert.ok(rig.look({ second: 3, said: 251 }).steps.includes('resident'));
  });

  it('counts nothing as untouched where nobody knows what its process has', () => {
    const rig = new Rig();
    rig.look({ second: 1, said: 300 });
    assert.ok(!rig.look({ second: 2, said: 400, residence: residentAs(null) }).steps.some((step) => /more/.test(step)));
    assert.equal(rig.guest.untouched, 0);
  });

  it('that brings no size changes nothing of what is remembered, and is a reading all the same', () => {
    const rig = new Rig();
    rig.look({ second: 1, said: 300 });
    rig.look({ second: 2, said: 400 });
    const { steps, keeps, held } = rig.look({ second: 3, said: null, plugged: 80 });
    assert.deepEqual(steps, ['reading']);
    assert.deepEqual([keeps, held, rig.guest.untouched], [null, 400, 100]);
  });

  it('is set against what was used at the look before, and remembers what a reading tells of it', () => {
    const rig = new Rig();
    assert.equal(rig.look({ second: 1, said: 300, used: 20 }).usedBefore, null);
    assert.equal(rig.look({ second: 2, said: 300 }).usedBefore, 20);
    assert.equal(rig.look({ second: 3, said: 300, used: 30 }).usedBefore, 20);
    assert.equal(rig.guest.held.used, 30);
  });

  it('gives the total that is right for what is held, where a host hears late of a balloon', () => {
    const totalOf = (isHostLate: boolean): Signal<Pages> => {
      const rig = new Rig({ isHostLate });
      for (const second of [1, 2]) rig.look({ second, said: 40_000, total: 30_000 });
      return rig.look({ second: 3, said: 50_000, total: 31_000 }).total;
    };
    assert.deepEqual(totalOf(true), knownAt(pages(40_000), millis(2_900)));
    assert.deepEqual(totalOf(false), knownAt(pages(31_000), millis(2_900)));
  });
});

describe('a guest that begins anew', () => {
  it('may touch all of its memory at once', () => {
    const rig = new Rig();
    rig.look({ second: 1, said: 300, plugged: 50 });
    rig.guest.beginAnew(at(2), residentAs(pages(40)));
    assert.ok(rig.guest.isAwaited);
    assert.equal(rig.guest.sizeAnew, BASE);
    assert.equal(rig.guest.untouched, BASE - 350);
  });

  it('may touch it from the next look on, where nobody knows before what its process has', () => {
    const rig = new Rig();
    rig.look({ second: 1, said: 300 });
    rig.guest.beginAnew(at(2), null);
    assert.equal(rig.guest.untouched, 0);
    const { steps, keeps } = rig.look({ second: 3, said: 300, residence: residentAs(pages(40)) });
    assert.deepEqual(steps, [`held: ${BASE}`, 'resident', `more: ${BASE - 300}`, 'reading']);
    assert.equal(keeps, 300);
  });

  it('is not measured by what the kernel before held and used', () => {
    const rig = new Rig();
    rig.look({ second: 1, said: 300, used: 20 });
    rig.guest.beginAnew(at(2), null);
    assert.deepEqual([rig.guest.held.at(at(2)), rig.guest.held.used], [null, null]);
  });

  it('is not measured by what the kernel before kept for itself', () => {
    const rig = new Rig({ isHostLate: true });
    for (const second of [1, 2]) rig.look({ second, said: 40_000, total: 30_000 });
    rig.guest.beginAnew(at(3), null);
    assert.deepEqual(rig.look({ second: 4, said: 50_000, total: 31_000 }).total, knownAt(pages(31_000), millis(3_900)));
  });

  it('is asked for a page less than all until it is heard, and counts as keeping what it was told', () => {
    const rig = new Rig();
    const all = guestSize(BASE);
    rig.look({ second: 1, said: 300 });
    assert.equal(rig.guest.askFor(all), BASE);
    rig.guest.beginAnew(at(2), null);
    assert.equal(rig.guest.askFor(all), BASE - 1);
    assert.equal(rig.look({ second: 4, said: 300, asked: 500 }).keeps, 500);
    rig.guest.hear(at(5));
    assert.equal(rig.look({ second: 6, said: 300, asked: 500 }).keeps, 300);
    assert.deepEqual([rig.guest.isAwaited, rig.guest.sizeAnew, rig.guest.askFor(all)], [false, null, BASE]);
  });

  it('is no more than said where nobody knows how much memory it has', () => {
    const rig = new Rig({ base: null });
    rig.look({ second: 1, said: 300 });
    rig.guest.beginAnew(at(2), residentAs(pages(40)));
    assert.deepEqual([rig.guest.sizeAnew, rig.guest.untouched], [null, 0]);
  });
});

describe('what a guest holds and has not touched', () => {
  it('is looked at again between two looks, and not before the first', () => {
    const rig = new Rig();
    rig.guest.renewUntouched({ noteHeld: () => assert.fail(), resident: () => assert.fail() });
    rig.look({ second: 1, said: 300 });
    rig.look({ second: 2, said: 400 });
    rig.guest.renewUntouched(residentAs(pages(370)));
    assert.equal(rig.guest.untouched, 30);
  });

  it('is what was noted between two looks, too', () => {
    const rig = new Rig();
    rig.look({ second: 1, said: 300 });
    assert.equal(rig.guest.noteMayTouch(pages(400), residentAs(pages(350))), 50);
    assert.deepEqual(rig.look({ second: 2, said: 400, residence: residentAs(pages(350)) }).steps.at(-2), 'resident');
  });

  it('stays with it over a connection that is lost, and what it held does not', () => {
    const before = new Rig();
    before.look({ second: 1, said: 300 });
    before.look({ second: 2, said: 400 });
    const { guest } = new Rig({ before: before.guest });
    assert.equal(guest.untouched, 100);
    assert.equal(guest.held.at(at(2)), null);
  });
});
