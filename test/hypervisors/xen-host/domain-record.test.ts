/** Protects what a reading is made of: what a domain holds by Xen's word, and what it needs by its own, which may be a lie. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { believable } from '../../../src/control/believe.js';
import type { Reading } from '../../../src/control/reading.js';
import { known } from '../../../src/control/signal.js';
import { DEFAULT_TUNABLES } from '../../../src/control/tunables.js';
import { emptyRecord, readingOf, type DomainRecord } from '../../../src/hypervisors/xen-host/domain-record.js';
import type { DomainSight } from '../../../src/hypervisors/xen-host/sight.js';
import { hostPolicy, selfballoonStep } from '../../../src/policies/index.js';
import { withReport } from '../../../src/signals/reported-guest.js';
import { kib, kibToPagesDown, millis, NO_PAGES, pages, type Pages } from '../../../src/units.js';
import { useSeed } from '../../support/seed.js';
import { reportText } from '../../support/report-text.js';

useSeed();

const AT = millis(10_000);
const SEEN: DomainSight = { domid: 1, held: kib(262_144), maximum: kib(263_168), isDying: false };
const RECORD: DomainRecord = { ...emptyRecord(1), name: 'one', staticMax: known(pages(131_072)) };

const reported = (text: string, at = AT, record = RECORD): DomainRecord => withReport(record, text, at);
const read = (record: DomainRecord, sight: Partial<DomainSight> = {}, at = AT): Reading =>
  readingOf(record, { ...SEEN, ...sight }, at);
const valueOf = (signal: { readonly known: boolean }): unknown => ('value' in signal ? signal.value : null);

/** What self-ballooning would ask for, in the driver's count, with what a reading says. */
function targetOf(reading: Reading, total = reading.total): Pages {
  const { committed, reserve, maxPfn, current } = reading;
  assert.ok(total.known && committed.known && reserve.known && maxPfn.known && current.known);
  const step = selfballoonStep(
    {
      totalramPages: total.value,
      totalreservePages: reserve.value,
      maxPfn: maxPfn.value,
      committedPages: committed.value,
      balloonCurrentPages: current.value,
      frontswapPages: NO_PAGES,
      reservedPages: NO_PAGES,
    },
    { ...DEFAULT_TUNABLES, selfballoon_downhysteresis: 1, selfballoon_uphysteresis: 1 },
  );
  assert.ok(step.kind === 'target');
  return step.balloonTarget;
}

describe('a domain that reports nothing', () => {
  it('has what Xen says of it, and nothing else', () => {
    const reading = read({ ...RECORD, asked: known(pages(60_000)) });
    assert.deepEqual(reading.current, { known: true, value: 65_536, at: AT });
    assert.deepEqual(reading.asked, { known: true, value: 60_000, at: AT });
    assert.deepEqual(reading.maximum, { known: true, value: 65_792, at: AT });
    assert.ok(!reading.committed.known && reading.committed.reason === 'not-reported');
    assert.ok(!reading.total.known);
  });

  it('but wrote something that is no report says what was wrong with it', () => {
    const { committed, total } = read(reported('{"v":2,"beat":1}'));
    assert.ok(!committed.known && committed.reason === 'malformed' && /version/.test(committed.detail));
    assert.ok(!total.known && total.reason === 'malformed');
    assert.match(read(reported('{"v":2,"beat":1}')).refusal ?? '', /version/);
  });

  it('holds no part page', () => {
    assert.equal(valueOf(read(RECORD, { held: kib(262_147) }).current), 65_536);
  });
});

describe('the most that a domain may hold', () => {
  const most = (staticMax: DomainRecord['staticMax'], maximum: DomainSight['maximum']): unknown =>
    valueOf(read({ ...RECORD, staticMax }, { maximum }).maximum);

  it('is the lower of what its folder and what Xen says', () => {
    assert.equal(most(known(pages(131_072)), kib(263_168)), 65_792);
    assert.equal(most(known(pages(65_536)), kib(1_048_576)), 65_536);
  });

  it('is what it holds where its folder says less: it must not grow without bounds for that', () => {
    assert.equal(most(known(pages(16_384)), kib(263_168)), 65_536);
    const reading = believable(
      read({ ...RECORD, staticMax: known(pages(16_384)) }, { maximum: null }),
      AT,
      millis(6_000),
    );
    assert.equal(valueOf(reading.maximum), 65_536);
  });

  it('is what one of them says where the other says nothing', () => {
    assert.equal(most(known(pages(131_072)), null), 131_072);
    assert.equal(most(emptyRecord(1).staticMax, kib(263_168)), 65_792);
    assert.equal(most(emptyRecord(1).staticMax, null), null);
  });
});

describe('the balloon that moved between report and look', () => {
  const MOVES = [0, -20_000, 20_000, -30_000, 60_000];

  it('does not shift the target: the two counts of one report are taken together', () => {
    const record = reported(reportText(1));
    const atRest = targetOf(read(record));
    for (const moved of MOVES) {
      const held = kib(262_144 + moved * 4);
      assert.equal(targetOf(read(record, { held })), atRest, `moved by ${moved} pages`);
    }
  });

  it('would shift it by all that it moved without that', () => {
    const record = reported(reportText(1));
    const atRest = targetOf(read(record));
    const asReported = { known: true, value: kibToPagesDown(kib(240_000)), at: AT } as const;
    for (const moved of MOVES) {
      const reading = read(record, { held: kib(262_144 + moved * 4) });
      assert.equal(targetOf(reading, asReported), atRest + moved);
    }
  });

  it('moves the kernel’s count with it, whatever both were', () => {
    const sizes = fc.record({
      current: fc.integer({ min: 100_000, max: 10_000_000 }),
      hidden: fc.integer({ min: 0, max: 65_536 }),
      held: fc.integer({ min: 100_000, max: 10_000_000 }),
    });
    fc.assert(
      fc.property(sizes, ({ current, hidden, held }) => {
        const record = reported(reportText(1, { current, total: current - hidden }));
        const { total } = read(record, { held: kib(held) });
        const hiddenPages = Math.floor(current / 4) - Math.floor((current - hidden) / 4);
        assert.deepEqual(total, { known: true, value: Math.max(0, Math.floor(held / 4) - hiddenPages), at: AT });
      }),
    );
  });
});

describe('what a guest reports', () => {
  it('is as old as the report, and what Xen says as the look', () => {
    const reading = read(reported(reportText(1), millis(4_000)));
    assert.deepEqual(reading.committed, { known: true, value: 20_000, at: 4_000 });
    assert.equal(reading.total.known && reading.total.at, 4_000);
    assert.equal(reading.current.known && reading.current.at, AT);
    assert.equal(reading.at, AT);
  });

  it('arrives whole', () => {
    const more = { refaults: 3, majorFaults: 4, oomKills: 5, some: 1.5, full: 0.5 };
    const reading = read(reported(reportText(1, more)));
    const names = ['free', 'available', 'cached', 'reserve', 'maxPfn', 'swapTotal', 'swapUsed'] as const;
    assert.deepEqual(
      names.map((name) => valueOf(reading[name])),
      [25_000, 40_000, 15_000, 2_000, 131_072, 131_072, 0],
    );
    assert.deepEqual([valueOf(reading.refaults), valueOf(reading.majorFaults), valueOf(reading.oomKills)], [3, 4, 5]);
    assert.deepEqual(valueOf(reading.pressure), { somePercent: 1.5, fullPercent: 0.5 });
  });

  it('gets no younger by being repeated', () => {
    const first = reported(reportText(7), millis(1_000));
    const again = reported(reportText(7, { committed: 4 }), millis(9_000), first);
    assert.deepEqual(read(again).committed, { known: true, value: 20_000, at: 1_000 });
    const next = reported(reportText(8), millis(9_000), again);
    assert.equal(next.reported?.at, 9_000);
  });

  it('stays, and ages, while what follows is not understood; and is fine again with the next that is', () => {
    const first = reported(reportText(1), millis(1_000));
    const garbled = reported('garbage', millis(2_000), first);
    assert.ok(garbled.refusal !== null && garbled.reported?.at === 1_000);
    assert.deepEqual(read(garbled), { ...read(first), refusal: garbled.refusal });
    assert.equal(reported(reportText(1), millis(3_000), garbled).refusal, null);
    assert.equal(reported(reportText(2), millis(3_000), garbled).refusal, null);
  });
});

describe('a lie in a report', () => {
  const LIES: Readonly<Record<string, unknown>> = {
    negative: -1,
    fractional: 0.5,
    absurd: 2 ** 53,
    wrapped: 18_446_744_073_709_552_000,
    text: '262144',
    null: null,
    object: { toString: 1 },
    list: [262_144],
    yes: true,
  };

  it('about what it holds changes nothing about what it is thought to hold', () => {
    for (const [name, current] of Object.entries(LIES)) {
      const reading = read(reported(reportText(1, { current })));
      assert.equal(valueOf(reading.current), 65_536, name);
      assert.equal(reading.total.known, false, name);
    }
  });

  it('in any field costs that field only, and throws nothing', () => {
    for (const field of ['total', 'free', 'committed', 'reserve', 'maxPfn', 'swapTotal', 'refaults'] as const) {
      for (const [name, value] of Object.entries(LIES)) {
        const reading = read(reported(reportText(1, { [field]: value })));
        const signal = reading[field];
        assert.ok(!signal.known && signal.reason === 'malformed', `${field}: ${name}`);
        assert.equal(reading.available.known, true);
      }
    }
  });

  it('of NaN or Infinity is no report at all', () => {
    for (const word of ['NaN', 'Infinity', '-Infinity', '1e999']) {
      const text = reportText(1).replace('"committed":80000', `"committed":${word}`);
      assert.equal(read(reported(text)).committed.known, false, word);
    }
  });

  it('of a kernel that hides far more of its memory than kernels do, or has more than it holds, is not believed', () => {
    const totalOf = (current: number, total: number): string => {
      const signal = read(reported(reportText(1, { current, total }))).total;
      return signal.known ? 'believed' : signal.reason;
    };
    assert.equal(totalOf(262_144, 262_148), 'implausible');
    assert.equal(totalOf(262_144, 0), 'implausible');
    assert.equal(totalOf(4_194_304, 1_000_000), 'implausible');
    assert.equal(totalOf(262_144, 262_144), 'believed');
    // A quarter, and 64 MiB more: page arrays, crash kernels, a small guest's own code.
    assert.equal(totalOf(262_144, 131_072), 'believed');
    assert.equal(totalOf(262_144, 131_068), 'implausible');
    assert.equal(totalOf(4 * 2 ** 50, 2 ** 40), 'implausible');
  });

  it('that makes of its memory nothing at all is not acted on', () => {
    const garbled = reported('garbage', AT, reported(reportText(1)));
    const reading = believable(read(garbled, { held: kib(4) }), AT, millis(6_000));
    assert.ok(!reading.total.known && !reading.committed.known);
    assert.equal(reading.refusal, garbled.refusal);
    const view = { reading, tunables: DEFAULT_TUNABLES, hasOverflowTier: false };
    assert.equal(hostPolicy.decide(view, hostPolicy.initialMemory, AT).wish.kind, 'hold');
  });

  it('of any kind ends in a wish or in none, and never in an error', () => {
    const size = fc.oneof(fc.maxSafeNat(), fc.integer(), fc.double(), fc.constantFrom(0, 1, 2 ** 40, 2 ** 53 - 1));
    const fields = ['current', 'total', 'free', 'available', 'committed', 'reserve', 'maxPfn', 'swapTotal'] as const;
    const lies = fc.record(Object.fromEntries(fields.map((name) => [name, size])));
    fc.assert(
      fc.property(lies, fc.integer({ min: 0, max: 2 ** 40 }), (lie, held) => {
        const reading = believable(read(reported(reportText(1, lie)), { held: kib(held) }), AT, millis(6_000));
        assert.equal(valueOf(reading.current), Math.floor(held / 4));
        const view = { reading, tunables: DEFAULT_TUNABLES, hasOverflowTier: false };
        const { wish } = hostPolicy.decide(view, hostPolicy.initialMemory, AT);
        if (wish.kind === 'resize') assert.ok(wish.target >= 0 && Number.isSafeInteger(wish.target));
      }),
    );
  });
});
