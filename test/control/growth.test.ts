/**
 * Protects that a guest which needs more than its boot memory gets it in whole blocks and from memory that is free, gives it up before
 * its balloon takes anything, is never below its target on the way, and is not asked for ever for what it does not let go of.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  isResting,
  planSize,
  restAfter,
  wholeGrant,
  wholeSize,
  type Growth,
  type GrowthView,
} from '../../src/control/growth.js';
import { decodeRecord } from '../../src/cli/journal/decode-record.js';
import { createReplay } from '../../src/control/journal.js';
import { createStep } from '../../src/control/step.js';
import { hostPolicy } from '../../src/policies/index.js';
import { millis, pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';
import { BLOCK, sharedGuest, SharedHost, type SharedGuest } from '../support/shared-host.js';

useSeed();

const BOOT = 200_000;
const viewOf = (boot: number, plugged: number, pluggable = 400 * BLOCK): GrowthView => ({
  block: pages(BLOCK),
  boot: pages(boot),
  bootMaximum: pages(BOOT),
  plugged: pages(plugged),
  pluggable: pages(pluggable),
});
const NOTHING_ASKED: Growth = { found: pages(0), plugged: pages(0), pursuit: null, up: null, down: null };
const NOW = millis(1_000);
const FOR_GOOD = { times: 6, until: null };

function plan(target: number, view: GrowthView, growth: Partial<Growth> = {}, room: number | null = null): unknown[] {
  const { boot, plugged } = planSize({
    target: pages(target),
    view,
    growth: { ...NOTHING_ASKED, ...growth },
    room: room === null ? null : pages(room),
    now: NOW,
  });
  return [boot, plugged];
}

describe('a size above boot memory', () => {
  it('is rounded up to whole blocks, and down under a ceiling', () => {
    const view = viewOf(BOOT, 0);
    const whole = (size: number, ceiling: number | null): number =>
      wholeSize(view, pages(size), ceiling === null ? null : pages(ceiling));
    assert.equal(whole(BOOT - 1, null), BOOT - 1);
    assert.equal(whole(BOOT + 1, null), BOOT + BLOCK);
    assert.equal(whole(BOOT + BLOCK, null), BOOT + BLOCK);
    assert.equal(whole(BOOT + BLOCK + 1, BOOT + 2 * BLOCK - 1), BOOT + BLOCK);
    assert.equal(whole(BOOT + 1, BOOT + 5), BOOT);
    assert.equal(whole(BOOT + 999 * BLOCK, null), BOOT + 400 * BLOCK);
  });

  it('that was cut to what is free is rounded down, but not below what is plugged in', () => {
    assert.equal(wholeGrant(viewOf(BOOT, 0), pages(BOOT + BLOCK + 1)), BOOT + BLOCK);
    assert.equal(wholeGrant(viewOf(BOOT, 0), pages(BOOT - 1)), BOOT - 1);
    assert.equal(wholeGrant(viewOf(BOOT - 50, BLOCK), pages(BOOT + 100)), BOOT + 100);
  });
});

describe('the way to a size', () => {
  it('up: the balloon first, then blocks; what is plugged in stays', () => {
    assert.deepEqual(plan(150_000, viewOf(100_000, 0)), [150_000, 0]);
    assert.deepEqual(plan(BOOT + BLOCK, viewOf(100_000, 0)), [BOOT, BLOCK]);
    assert.deepEqual(plan(BOOT + BLOCK, viewOf(100_000, 2 * BLOCK)), [BOOT - BLOCK, 2 * BLOCK]);
    assert.deepEqual(plan(BOOT + 9 * BLOCK, viewOf(BOOT, BLOCK), { up: FOR_GOOD }), [BOOT, BLOCK]);
  });

  it('up: to what it was found with and no further, though that be no whole blocks', () => {
    const found = { found: pages(BLOCK + 100) };
    assert.deepEqual(plan(BOOT + BLOCK + 100, viewOf(BOOT, 100), found), [BOOT, BLOCK + 100]);
    assert.deepEqual(plan(BOOT + BLOCK + 99, viewOf(BOOT, 100), found), [BOOT, BLOCK]);
    assert.deepEqual(plan(BOOT + BLOCK - 1, viewOf(BOOT, 100), found), [BOOT, 100]);
    assert.deepEqual(plan(BOOT + 2 * BLOCK, viewOf(BOOT, 100), found), [BOOT, 2 * BLOCK]);
  });

  it('down: blocks first, and the balloon stays meanwhile', () => {
    assert.deepEqual(plan(BOOT + BLOCK + 1, viewOf(BOOT, 9 * BLOCK)), [null, 2 * BLOCK]);
    assert.deepEqual(plan(150_000, viewOf(BOOT, 9 * BLOCK)), [null, 0]);
    assert.deepEqual(plan(150_000, viewOf(BOOT, 0)), [150_000, 0]);
  });

  it('down: the balloon does the rest where blocks do not come back', () => {
    assert.deepEqual(plan(150_000, viewOf(BOOT, 9 * BLOCK), { down: FOR_GOOD }), [150_000 - 9 * BLOCK, 9 * BLOCK]);
    assert.deepEqual(plan(BLOCK, viewOf(BOOT, 9 * BLOCK), { down: FOR_GOOD }), [1, 9 * BLOCK]);
  });

  it('down: after that one block is tried at a time, and only when the balloon has given as much', () => {
    const tried = { down: { times: 1, until: NOW } };
    const view = viewOf(150_000 - 9 * BLOCK, 9 * BLOCK);
    assert.deepEqual(plan(150_000, view, tried), [150_000 - 8 * BLOCK, 9 * BLOCK]);
    assert.deepEqual(plan(150_000, viewOf(150_000 - 8 * BLOCK, 9 * BLOCK), tried), [null, 8 * BLOCK]);
    assert.deepEqual(plan(150_000, view, tried, 100), [150_000 - 9 * BLOCK + 100, 9 * BLOCK]);
    assert.deepEqual(plan(150_000, view, tried, 0), [null, 9 * BLOCK]);
  });

  it('never leads below the target, nor beyond it by more than a block and the room there is', () => {
    const blocks = fc.integer({ min: 0, max: 300 });
    const rest = fc.constantFrom(null, FOR_GOOD, { times: 2, until: NOW }, { times: 2, until: millis(9_999) });
    fc.assert(
      fc.property(
        ...[fc.integer({ min: 0, max: BOOT }), blocks, fc.integer({ min: 1, max: 2 * BOOT }), rest, rest, blocks],
        (boot, plugged, wished, up, down, room) => {
          const view = viewOf(boot, plugged * BLOCK);
          const target = wished > boot + plugged * BLOCK ? wholeSize(view, pages(wished), null) : wished;
          const [asked, blocksAsked] = plan(target, view, { up, down }, room) as [number | null, number];
          const left = Math.min(boot, asked ?? boot) + Math.min(view.plugged, blocksAsked);
          assert.ok(left >= Math.min(target, boot + view.plugged), 'on the way it would be too small');
          const most = Math.max(boot, asked ?? boot) + Math.max(view.plugged, blocksAsked);
          assert.ok(most <= Math.max(target, boot + view.plugged + room, view.plugged + 1), 'it could take too much');
          assert.ok(blocksAsked % BLOCK === 0 && blocksAsked <= view.pluggable);
        },
      ),
    );
  });
});

describe('requests that come to nothing', () => {
  it('are made again after growing pauses, and giving up is given up for good', () => {
    const pauses = (direction: 'up' | 'down'): (number | null)[] => {
      const found: (number | null)[] = [];
      let rest = null;
      for (let times = 0; times < 7; times += 1) {
        rest = restAfter(rest, direction, millis(0));
        found.push(rest.until === null ? null : rest.until / 60_000);
      }
      return found;
    };
    assert.deepEqual(pauses('down'), [1, 2, 4, 8, 16, null, null]);
    assert.deepEqual(pauses('up'), [1, 2, 4, 8, 16, 16, 16]);
    assert.ok(isResting({ times: 6, until: null }, millis(1e12)));
    assert.ok(!isResting({ times: 1, until: millis(60_000) }, millis(60_000)));
  });
});

/** A guest with its whole boot memory that can have as much again. */
const growing = (more: Partial<SharedGuest> = {}): SharedGuest =>
  sharedGuest({ held: BOOT, maximum: BOOT, pluggable: 400 * BLOCK, ...more });
const all = ({ held, plugged }: SharedGuest): number => held + plugged;
const pluggedIn = ({ plugged }: SharedGuest): number => plugged;

describe('a guest that needs more than its boot memory', () => {
  it('has its balloon emptied and is given blocks, and gives up all of them when it needs them no more', () => {
    const guest = growing();
    const host = new SharedHost({ total: 800_000, guests: { guest } });
    host.liveUntil(300);
    assert.ok(guest.held < 60_000 && guest.plugged === 0);
    guest.committed = 300_000;
    host.liveUntil(320);
    assert.equal(guest.held, BOOT);
    // What is committed, the reserve and a tenth of what it has.
    assert.ok(all(guest) >= 300_000 && all(guest) < 345_000, `${all(guest)}`);
    guest.committed = 20_000;
    const before = host.targets.length;
    for (let second = 321; pluggedIn(guest) > 0; second += 1) {
      assert.ok(second < 1_000, 'it keeps what it was given');
      assert.equal(guest.held, BOOT, 'the balloon took something before all was unplugged');
      host.liveUntil(second);
    }
    assert.ok(host.targets.slice(before).every(({ target }) => target <= BOOT));
    host.liveUntil(host.seconds + 300);
    assert.equal(pluggedIn(guest), 0);
    assert.ok(all(guest) < 60_000);
    assert.deepEqual(
      host.told.filter((line) => !line.endsWith('guest-came')),
      [],
    );
  });

  it('gets no more than its host has free, and no more than its ceiling', () => {
    const guest = growing({ committed: 390_000 });
    const host = new SharedHost({ total: BOOT + 10 * BLOCK + 100, guests: { guest } });
    host.liveUntil(100);
    assert.equal(guest.plugged, 10 * BLOCK);
    assert.equal(host.state.guests.get('guest')?.decision?.reason.code, 'clamped-to-host');
    const limited = growing({ committed: 390_000, limits: { floor: pages(0), ceiling: pages(BOOT + 20 * BLOCK + 7) } });
    const roomy = new SharedHost({ total: 800_000, guests: { limited } });
    roomy.liveUntil(100);
    assert.equal(limited.plugged, 20 * BLOCK);
  });

  it('has what was promised to it kept from the others until it has taken it', () => {
    const guests = { slow: growing({ committed: 390_000, plugSpeed: BLOCK }), other: growing({ committed: 390_000 }) };
    const host = new SharedHost({ total: 2 * BOOT + 300 * BLOCK, guests });
    host.liveUntil(100);
    assert.ok(guests.slow.plugged + guests.other.plugged <= 300 * BLOCK);
    host.liveUntil(600);
    assert.equal(guests.slow.plugged + guests.other.plugged, 300 * BLOCK);
  });

  it('is given more at the next look after an alarm, and not only when its time comes', () => {
    const guest = growing({ committed: 150_000 });
    const host = new SharedHost({ total: 800_000, guests: { guest }, tunables: { selfballoon_interval: 60 } });
    host.liveUntil(130);
    guest.committed = 300_000;
    host.alarm('guest');
    host.liveUntil(134);
    assert.ok(all(guest) >= 300_000);
  });
});

describe('a guest that does not plug in what it is given', () => {
  it('is left out for a while, is told of once, and does not keep the memory from others', () => {
    const guests = { deaf: growing({ committed: 390_000, plugging: 'never' }) };
    const host = new SharedHost({ total: 800_000, guests });
    host.liveUntil(30);
    assert.equal(guests.deaf.plugTarget, 0);
    assert.equal(host.state.guests.get('deaf')?.decision?.reason.code, 'left-out');
    host.liveUntil(3_600);
    assert.equal(host.told.filter((line) => line === 'deaf stuck').length, 1);
    assert.ok(host.growths.length < 20, `${host.growths.length} requests in an hour`);
    guests.deaf.plugging = 'obeys';
    host.liveUntil(3_600 + 17 * 60);
    assert.ok(all(guests.deaf) >= 390_000);
    assert.ok(host.told.includes('deaf obeys-again'));
  });
});

describe('a guest that does not let go of what is plugged in', () => {
  const keeper = (): { readonly host: SharedHost; readonly guest: SharedGuest } => {
    const guest = growing({ committed: 300_000 });
    const host = new SharedHost({ total: 800_000, guests: { guest } });
    host.liveUntil(60);
    guest.plugging = 'keeps';
    guest.committed = 120_000;
    return { host, guest };
  };

  it('is brought down to its target by its balloon, and never below', () => {
    const { host, guest } = keeper();
    for (let second = 60; second < 600; second += 1) {
      host.liveUntil(second);
      assert.ok(all(guest) >= 120_000 + 2_000, `${all(guest)} pages at ${second} s`);
    }
    assert.ok(guest.plugged > 0 && all(guest) < 150_000, `${all(guest)}`);
  });

  it('is told of twice, and asked a limited number of times', () => {
    const { host, guest } = keeper();
    host.liveUntil(2 * 3_600);
    const told = host.told.filter((line) => /stuck|uncooperative/.test(line));
    assert.deepEqual(told, ['guest stuck', 'guest uncooperative']);
    const asked = host.growths.length;
    host.liveUntil(8 * 3_600);
    assert.equal(host.growths.length, asked);
    assert.equal(guest.plugTarget, guest.plugged);
  });

  it('gives it up when it can again, and ends with its boot memory alone', () => {
    const { host, guest } = keeper();
    host.liveUntil(600);
    guest.plugging = 'obeys';
    host.liveUntil(3_600);
    assert.equal(guest.plugged, 0);
    assert.ok(host.told.includes('guest obeys-again'));
  });
});

describe('giving everything back', () => {
  it('makes boot memory whole and takes nothing: what is plugged in stays', () => {
    const guest = growing({ committed: 300_000 });
    const host = new SharedHost({ total: 800_000, guests: { guest } });
    host.liveUntil(60);
    guest.plugging = 'keeps';
    guest.committed = 100_000;
    host.liveUntil(400);
    const { plugged } = guest;
    assert.ok(plugged > 0 && guest.held < BOOT);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(420);
    assert.deepEqual([guest.held, guest.plugged, guest.plugTarget], [BOOT, plugged, plugged]);
  });

  it('plugs in again what had been when the guest was found', () => {
    const guest = growing({ plugged: 100 * BLOCK });
    const host = new SharedHost({ total: 800_000, guests: { guest } });
    host.liveUntil(300);
    assert.ok(guest.plugged === 0 && guest.held < 60_000);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(320);
    assert.deepEqual([guest.held, guest.plugged], [BOOT, 100 * BLOCK]);
  });

  it('goes no further than the host has free', () => {
    const guests = { one: growing({ plugged: 100 * BLOCK }), other: sharedGuest({ isSilent: true, held: 5_000 }) };
    const host = new SharedHost({ total: 300_000, guests });
    host.liveUntil(300);
    guests.other.held += host.free - 40_000;
    guests.other.target = guests.other.held;
    host.liveUntil(310);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(320);
    assert.ok(all(guests.one) <= 300_000 - guests.other.held);
  });
});

describe('the journal of a host whose guests grow', () => {
  it('replays to the same decisions, from any of its starts', () => {
    const lines: string[] = [];
    const guests = { one: growing({ committed: 300_000 }), deaf: growing({ committed: 300_000, plugging: 'never' }) };
    const host = new SharedHost({ total: 900_000, guests, record: (record) => lines.push(JSON.stringify(record)) });
    host.liveUntil(60);
    Object.assign(guests.one, { plugging: 'keeps', committed: 60_000 });
    host.liveUntil(400);
    const replay = createReplay(() => createStep(hostPolicy));
    for (const line of lines) {
      const record = decodeRecord(JSON.parse(line));
      assert.ok(record.kind === 'record', line);
      assert.equal(replay.take(record.record), null);
    }
    assert.ok(host.growths.length > 4 && lines.filter((line) => line.startsWith('{"kind":"start"')).length > 5);
  });
});

describe('whatever guests need and do', () => {
  it('no more is promised than is free, and those that let go end with boot memory alone', () => {
    const behaviour = fc.record({
      committed: fc.integer({ min: 5_000, max: 390_000 }),
      plugging: fc.constantFrom('obeys', 'obeys', 'keeps', 'never'),
      behaviour: fc.constantFrom('obeys', 'obeys', 'obeys', 'late'),
      plugSpeed: fc.constantFrom(BLOCK, 20 * BLOCK, 400 * BLOCK),
    });
    const episode = fc.record({
      who: fc.integer({ min: 0, max: 2 }),
      ...{ how: behaviour },
      seconds: fc.integer({ min: 1, max: 90 }),
    });
    const begun = fc.record({
      plugged: fc.integer({ min: 0, max: 100 }),
      held: fc.integer({ min: 20_000, max: BOOT }),
    });
    fc.assert(
      fc.property(
        fc.array(begun, { minLength: 3, maxLength: 3 }),
        fc.array(episode, { minLength: 1, maxLength: 25 }),
        fc.boolean(),
        (beginnings, episodes, hasAlarms) => {
          const guests = beginnings.map(({ plugged, held }) =>
            growing({ plugged: plugged * BLOCK, held, target: held }),
          );
          const host = new SharedHost({
            total: 900_000,
            reserve: 10_000,
            guests: Object.fromEntries(guests.entries()),
          });
          for (const { who, how, seconds } of episodes) {
            Object.assign(guests[who] ?? assert.fail(), how);
            if (hasAlarms) host.alarm(String(who));
            host.liveUntil(host.seconds + seconds);
          }
          for (const guest of guests) {
            Object.assign(guest, { plugging: 'obeys', behaviour: 'obeys', committed: 20_000, plugSpeed: 128 * BLOCK });
          }
          host.liveUntil(host.seconds + 3_600);
          for (const [name, guest] of guests.entries()) {
            const isGivenUp = host.state.guests.get(String(name))?.growth?.down?.until === null;
            if (!isGivenUp) assert.equal(guest.plugged, 0, 'something stays plugged in');
            assert.ok(all(guest) < 70_000 + guest.plugged, `${all(guest)} pages are left to a guest that needs 20000`);
          }
          host.tell({ kind: 'release', id: 1 });
          host.liveUntil(host.seconds + 60);
          for (const guest of guests) assert.equal(guest.held, BOOT);
        },
      ),
      // A run is hours of a host's life: one that fails is not made smaller.
      { numRuns: 20, endOnFailure: true },
    );
  });
});
