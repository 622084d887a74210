/**
 * Protects a host's memory: it is free before it is promised, the sum of promises never passes what is free less the reserve,
 * and a guest that does not take its share does not keep it from the others. Each shown both ways.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { believableHost } from '../../src/control/believe.js';
import { grantGrowth, spareIn } from '../../src/control/pool.js';
import { knownAt } from '../../src/control/signal.js';
import { millis, pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';
import { sharedGuest, SharedHost, type SharedGuest } from '../support/shared-host.js';

useSeed();

const view = (free: number, reserve: number, promised: number, share = 1) => ({
  at: millis(0),
  free: pages(free),
  reserve: pages(reserve),
  promised: pages(promised),
  share,
});

describe('what may be promised', () => {
  it('is what is free, less the reserve and what others were promised', () => {
    assert.equal(spareIn(view(1_000, 100, 300)), 600);
    assert.equal(spareIn(view(1_000, 800, 300)), 0);
  });

  const cases: readonly (readonly [string, number, number, ReturnType<typeof view>, number])[] = [
    ['all of a growth that fits', 700, 500, view(1_000, 100, 300), 700],
    ['the part of a growth that fits', 2_000, 500, view(1_000, 100, 300), 1_100],
    ['nothing where nothing is free', 2_000, 500, view(0, 0, 0), 500],
    ['any giving up', 100, 500, view(0, 0, 9_000), 100],
    ['a share of the growth while all want everything', 700, 500, view(1_000, 0, 0, 0.25), 550],
  ];
  for (const [what, wanted, held, from, granted] of cases) {
    it(`grants ${what}`, () => {
      assert.equal(grantGrowth(pages(wanted), pages(held), from), granted);
    });
  }

  it('is nothing where the host says that it has more free than it has', () => {
    const at = millis(0);
    const host = { pool: 'x', at, total: knownAt(pages(10), at), free: knownAt(pages(11), at), reserve: pages(0) };
    assert.equal(believableHost(host, at, millis(1)).free.known, false);
  });
});

describe('guests that share a host', () => {
  const BUSY = { held: 50_000, target: 50_000, committed: 20_000 };
  const three = (): Record<string, SharedGuest> => ({
    first: sharedGuest({}),
    second: sharedGuest({}),
    busy: sharedGuest(BUSY),
  });

  it('give what they do not need, and the busy one gets it when it is free, not before', () => {
    const host = new SharedHost({ total: 255_000, guests: three() });
    host.guest('busy').committed = 150_000;
    host.liveUntil(300);
    assert.ok(host.guest('busy').held > 140_000, `${host.guest('busy').held}`);
    assert.ok(host.guest('first').held < 60_000 && host.guest('second').held < 60_000);
    assert.deepEqual(
      host.told.filter((line) => line.includes('stuck')),
      [],
    );
  });

  it('need the rule: without it a guest takes memory that is not there', () => {
    const host = new SharedHost({ total: 255_000, guests: three(), safeguards: { grant: (wanted) => wanted } });
    host.guest('busy').committed = 150_000;
    assert.throws(() => {
      host.liveUntil(300);
    }, /pages are promised|not there/);
  });

  it('leave the host its reserve', () => {
    const host = new SharedHost({ total: 255_000, reserve: 4_000, guests: { busy: sharedGuest(BUSY) } });
    host.guest('busy').committed = 10_000_000;
    const small = new SharedHost({ total: 60_000, reserve: 4_000, guests: { busy: sharedGuest(BUSY) } });
    small.guest('busy').committed = 10_000_000;
    host.liveUntil(60);
    small.liveUntil(60);
    assert.equal(host.guest('busy').held, 200_000);
    assert.equal(small.free, 4_000);
  });

  it('grow by nothing while nobody can say what the host has free', () => {
    const host = new SharedHost({ total: 255_000, guests: { busy: sharedGuest({ ...BUSY, committed: 150_000 }) } });
    host.isSeen = false;
    host.liveUntil(60);
    assert.equal(host.guest('busy').held, 50_000);
    const { reason, goal } = host.state.guests.get('busy')?.decision ?? {};
    assert.equal(reason?.code, 'clamped-to-host');
    assert.equal(reason.numbers['wanted'], goal);
    host.isSeen = true;
    host.liveUntil(70);
    assert.ok(host.guest('busy').held > 140_000);
  });

  it('are not promised what another was promised and has not taken yet', () => {
    const guests = {
      late: sharedGuest({ ...BUSY, committed: 150_000, behaviour: 'late' }),
      busy: sharedGuest({ ...BUSY, committed: 150_000 }),
    };
    const host = new SharedHost({ total: 210_000, guests });
    // The first is asked first, and gets the promise of all that is free.
    host.liveUntil(8);
    assert.ok(guests.late.target > 140_000);
    assert.equal(guests.busy.held, 50_000 + 210_000 - 50_000 - guests.late.target);
  });

  it('get everything at an alarm that the host has, and no more', () => {
    const host = new SharedHost({ total: 120_000, guests: { busy: sharedGuest(BUSY) } });
    host.liveUntil(3);
    host.alarm('busy');
    host.checkPromises();
    host.liveUntil(4);
    assert.equal(host.guest('busy').held, 120_000);
  });
});

describe('a guest whose administrator allows it all of its memory and no less', () => {
  it('is kept within the limits of the configuration all the same', () => {
    const limits = { floor: pages(100_000), ceiling: pages(100_000) };
    const configured = { idle: { floor: pages(60_000), ceiling: pages(80_000) } };
    const idle = sharedGuest({ isSilent: true, limits });
    const host = new SharedHost({ total: 400_000, guests: { idle }, limits: configured });
    host.liveUntil(400);
    assert.equal(idle.held, 80_000);
  });
});

describe('an alarm on a shared host', () => {
  it('that is answered wholly is followed by a look within a second, however long the interval', () => {
    const busy = sharedGuest({ held: 50_000, committed: 20_000, behaviour: 'ignores' });
    const host = new SharedHost({ total: 400_000, guests: { busy }, tunables: { selfballoon_interval: 60 } });
    host.liveUntil(70);
    host.alarm('busy');
    host.liveUntil(75);
    assert.ok(host.told.includes('busy stuck'), host.told.join());
  });

  it('that cannot be answered makes the host be looked at once a second, however often it is told', () => {
    const host = new SharedHost({ total: 50_000, guests: { busy: sharedGuest({ held: 50_000 }) } });
    host.liveUntil(10);
    const before = host.looks.get('busy') ?? 0;
    for (let second = 11; second <= 20; second += 1) {
      for (let n = 0; n < 10; n += 1) host.alarm('busy');
      host.liveUntil(second);
    }
    assert.ok((host.looks.get('busy') ?? 0) - before <= 11, `${host.looks.get('busy')} looks, ${before} before`);
  });

  it('never takes back what a guest was told that it may have', () => {
    const guests = { late: sharedGuest({ held: 45_000, target: 45_000, committed: 120_000, behaviour: 'late' }) };
    const host = new SharedHost({ total: 400_000, guests });
    host.liveUntil(6);
    const told = guests.late.target;
    assert.ok(told > 100_000);
    host.isSeen = false;
    host.seconds += 2;
    host.alarm('late');
    assert.ok(guests.late.target >= told);
  });

  it('gives a guest that stands still on its way down the time to take what it gets', () => {
    const one = sharedGuest({ held: 100_000, target: 100_000, behaviour: 'ignores' });
    const host = new SharedHost({ total: 400_000, guests: { one } });
    // Between two looks: at the alarm it is looked at before it could move.
    host.liveUntil(23);
    assert.ok(one.target < 100_000 && host.told.includes('one stuck'));
    one.behaviour = 'obeys';
    host.lookAtHost();
    host.alarm('one');
    assert.equal(one.target, 200_000);
    host.liveUntil(24);
    assert.equal(one.held, 200_000);
  });

  it('does not let a guest keep a promise for longer whose need goes up and down', () => {
    const one = sharedGuest({ held: 100_000, target: 100_000, behaviour: 'ignores' });
    const host = new SharedHost({ total: 400_000, guests: { one }, tunables: { selfballoon_interval: 25 } });
    let kept = 0;
    for (let second = 1; second <= 600; second += 1) {
      one.committed = Math.floor(second / 25) % 2 === 0 ? 20_000 : 150_000;
      host.liveUntil(second);
      if (one.target > one.held) kept += 1;
    }
    assert.ok(kept > 0 && kept <= 100, `it kept promises for ${kept} of 600 s`);
  });

  it('does not let a guest keep a promise that it does not take, however often it is raised', () => {
    const guests = {
      greedy: sharedGuest({ held: 50_000, target: 50_000, behaviour: 'ignores' }),
      busy: sharedGuest({ held: 50_000, target: 50_000, committed: 150_000 }),
    };
    const host = new SharedHost({ total: 230_000, guests });
    let kept = 0;
    for (let second = 1; second <= 120; second += 1) {
      host.liveUntil(second);
      for (let n = 0; n < 10; n += 1) host.alarm('greedy');
      host.checkPromises();
      if (guests.greedy.target > 50_000) kept += 1;
    }
    assert.ok(kept <= 30, `it kept its promise for ${kept} of 120 s`);
    assert.ok(guests.busy.held > 150_000, `${guests.busy.held}`);
  });
});

describe('a guest of which nothing is known', () => {
  it('is left alone', () => {
    const host = new SharedHost({ total: 400_000, guests: { silent: sharedGuest({ isSilent: true }) } });
    host.liveUntil(120);
    assert.deepEqual(host.targets, []);
  });

  it('is kept within what its administrator allows, down step by step', () => {
    const limits = { floor: pages(60_000), ceiling: pages(80_000) };
    const guests = {
      large: sharedGuest({ isSilent: true, limits }),
      small: sharedGuest({ isSilent: true, held: 40_000, target: 40_000, limits }),
    };
    const host = new SharedHost({ total: 400_000, guests });
    host.liveUntil(7);
    assert.ok(guests.large.held < 100_000 && guests.large.held > 90_000);
    assert.equal(guests.small.held, 60_000);
    host.liveUntil(400);
    assert.equal(guests.large.held, 80_000);
  });

  it('follows limits that are changed while it runs', () => {
    const host = new SharedHost({ total: 400_000, guests: { silent: sharedGuest({ isSilent: true }) } });
    host.liveUntil(10);
    const { guest } = host.state.guests.get('silent') ?? assert.fail();
    host.tell({ kind: 'guest-changed', guest: { ...guest, limits: { floor: pages(120_000), ceiling: null } } });
    host.liveUntil(20);
    assert.equal(host.guest('silent').held, 120_000);
  });
});

describe('any life on a shared host', () => {
  it('never promises more than is free, whatever the guests do', () => {
    const life = fc.record({
      held: fc.integer({ min: 30_000, max: 100_000 }),
      behaviour: fc.constantFrom<SharedGuest['behaviour']>('obeys', 'ignores', 'late'),
      demands: fc.array(fc.integer({ min: 0, max: 400_000 }), { minLength: 6, maxLength: 6 }),
      alarms: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    });
    fc.assert(
      fc.property(fc.array(life, { minLength: 1, maxLength: 5 }), fc.nat({ max: 50_000 }), (lives, spare) => {
        const guests = Object.fromEntries(
          lives.map(({ held, behaviour }, n) => [`g${n}`, sharedGuest({ held, target: held, behaviour })]),
        );
        const total = lives.reduce((sum, { held }) => sum + held, spare);
        const host = new SharedHost({ total, guests });
        for (let phase = 0; phase < 6; phase += 1) {
          for (const [n, { demands, alarms }] of lives.entries()) {
            host.guest(`g${n}`).committed = demands[phase] ?? 0;
            if (alarms[phase] === true) host.alarm(`g${n}`);
          }
          // Each second checks the worst case.
          host.liveUntil((phase + 1) * 13);
        }
      }),
      { numRuns: 60 },
    );
  });
});
