/** Protects how several sources' word on one guest becomes one: the better source's, the newer one's, and never an invented one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NOTHING_KNOWN, type Signals } from '../../src/control/reading.js';
import { knownAt, unknown, type Signal, type UnknownReason } from '../../src/control/signal.js';
import { mergeSignals, RANK_WORTH } from '../../src/signals/merge.js';
import { millis, pages, type Pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const at = (time: number, value = 1): Signal<Pages> => knownAt(pages(value), millis(time));

describe('one guest by several sources', () => {
  it('is what the best source says, each signal by itself and with its own time', () => {
    const merged = mergeSignals([
      { committed: at(100, 1), total: unknown('unreadable', 'no') },
      { committed: at(200, 2), total: at(200, 3), free: at(150, 4) },
    ]);
    assert.deepEqual(merged, { ...NOTHING_KNOWN, committed: at(100, 1), total: at(200, 3), free: at(150, 4) });
  });

  it('is what a lesser source says where the better one has been silent for long', () => {
    const better = { total: at(1_000, 1) };
    assert.deepEqual(mergeSignals([better, { total: at(1_000 + RANK_WORTH, 2) }]).total, at(1_000, 1));
    const newer = at(1_001 + RANK_WORTH, 2);
    assert.deepEqual(mergeSignals([better, { total: newer }]).total, newer);
  });

  it('is unknown for the most telling reason, of the best source that has it', () => {
    const cases: readonly (readonly [UnknownReason, UnknownReason, number])[] = [
      ['not-reported', 'unreadable', 1],
      ['unreadable', 'not-reported', 0],
      ['malformed', 'implausible', 1],
      ['stale', 'malformed', 1],
      ['unreadable', 'unreadable', 0],
    ];
    for (const [first, second, chosen] of cases) {
      const both = [unknown(first, 'one'), unknown(second, 'two')];
      const merged = mergeSignals(both.map((total) => ({ total })));
      assert.equal(merged.total, both[chosen], `${first} and ${second}`);
    }
  });

  it('that nobody says anything about is not reported', () => {
    assert.deepEqual(mergeSignals([]), NOTHING_KNOWN);
    assert.deepEqual(mergeSignals([{}, {}]), NOTHING_KNOWN);
  });
});

describe('merging, whatever the sources say', () => {
  const reasons = fc.constantFrom<UnknownReason>('not-reported', 'unreadable', 'malformed', 'implausible', 'stale');
  const signal = fc.oneof(
    fc.record({ time: fc.nat(30_000), value: fc.nat(9) }).map(({ time, value }) => at(time, value)),
    reasons.map((reason): Signal<Pages> => unknown(reason, 'why')),
  );
  const source = fc.record({ total: signal, committed: signal, used: signal }, { requiredKeys: [] });
  const sources = fc.array(source, { maxLength: 4 });
  const names = ['total', 'committed', 'used'] as const;
  const saidOf = (all: readonly Partial<Signals>[], name: (typeof names)[number]): readonly Signal<Pages>[] =>
    all.flatMap((one) => one[name] ?? []);

  it('invents nothing: each signal is one that a source gave', () => {
    fc.assert(
      fc.property(sources, (all) => {
        const merged = mergeSignals(all);
        for (const name of names) {
          const said = saidOf(all, name);
          assert.ok(said.length === 0 ? merged[name] === NOTHING_KNOWN[name] : said.includes(merged[name]));
        }
      }),
    );
  });

  it('knows what any source knows, and nothing much older than the newest that is known', () => {
    fc.assert(
      fc.property(sources, (all) => {
        const merged = mergeSignals(all);
        for (const name of names) {
          const times = saidOf(all, name).flatMap((one) => (one.known ? [one.at] : []));
          const chosen = merged[name];
          assert.equal(chosen.known, times.length > 0);
          if (chosen.known) assert.ok(Math.max(...times) - chosen.at <= RANK_WORTH);
        }
      }),
    );
  });

  it('does not change what one source alone says, and is done when it is done once', () => {
    fc.assert(
      fc.property(source, sources, (one, all) => {
        assert.deepEqual(mergeSignals([one]), { ...NOTHING_KNOWN, ...one });
        const merged = mergeSignals(all);
        assert.deepEqual(mergeSignals([merged]), merged);
      }),
    );
  });
});
