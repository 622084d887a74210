/** Protects what is found out about a guest's page cache: how much it gets back, for how long, and how it is tried again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { afterQuiet, afterRefaults, stepMax, type CacheNeed } from '../../src/policies/cache-need.js';
import { addMillis, mib, mibToPages, millis, NO_PAGES, pages, type Millis, type Pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const MINUTE = 60_000;
const HAS = mibToPages(mib(300));
const NOW = millis(0);

const found = (before: CacheNeed | null, now: Millis, has: Pages = HAS, missing: Pages = NO_PAGES): CacheNeed =>
  afterRefaults(before, { has, missing, now });

/** Quiet steps from the end of the pause until nothing is left of the finding; the room that was kept, each time. */
function tries(need: CacheNeed): readonly number[] {
  const kept: number[] = [];
  for (let left: CacheNeed | null = need; left !== null; left = afterQuiet(left, need.until)) {
    kept.push(left.keep);
    assert.ok(kept.length < 2_000, 'it does not end');
  }
  return kept;
}

describe('what was found out', () => {
  it('gives back more than one step can have taken', () => {
    const { keep, sure } = found(null, NOW);
    assert.ok(sure >= HAS + stepMax(HAS));
    assert.ok(keep >= sure + HAS / 16);
  });

  it('gives back what was read back, too: one step at first, which is all that can be missing', () => {
    assert.equal(found(null, NOW, HAS, pages(3_000)).keep, found(null, NOW).keep + 3_000);
    assert.equal(found(null, NOW, HAS, HAS).keep, found(null, NOW).keep + stepMax(HAS));
  });

  it('does not grow with what is read back until the guest has what it was given', () => {
    const first = found(null, NOW, HAS, HAS);
    assert.equal(found(first, millis(1_000), HAS, HAS).keep, first.keep);
    assert.equal(found(first, millis(2_000), pages(first.keep - first.keep / 16), HAS).keep, first.keep);
  });

  it('does not lapse while the guest waits for what it was given, as on a host that is full', () => {
    const first = found(null, NOW, HAS, HAS);
    let need = first;
    for (let minute = 1; minute <= 60; minute += 1)
      need = found(need, millis(minute * MINUTE), pages(HAS / 8), pages(2_000));
    assert.deepEqual([need.keep, need.pause, need.until], [first.keep, first.pause, 65 * MINUTE]);
  });

  it('grows with all of that where it has it and it is not enough', () => {
    const first = found(null, NOW, HAS, HAS);
    assert.ok(found(first, millis(3_000), first.keep, HAS).keep >= first.keep + HAS);
  });

  it('is made anew after the pause, however much the guest has', () => {
    const first = found(null, NOW);
    assert.notEqual(found(first, first.until), first);
  });

  it('holds for five minutes at first', () => {
    const need = found(null, NOW);
    assert.equal(afterQuiet(need, millis(5 * MINUTE - 1)), need);
    assert.notEqual(afterQuiet(need, millis(5 * MINUTE)), need);
  });

  it('holds twice as long after each try that was one too many, an hour at most', () => {
    const pauses: number[] = [];
    let need = found(null, NOW);
    for (let more = 0; more < 6; more += 1) {
      pauses.push(need.pause / MINUTE);
      need = found(need, addMillis(need.until, millis(1)));
    }
    assert.deepEqual(pauses, [5, 10, 20, 40, 60, 60]);
  });

  it('holds anew and no longer where what was given back was not enough', () => {
    const first = found(null, NOW);
    const again = found(first, millis(MINUTE), first.keep);
    assert.deepEqual([again.pause, again.until], [first.pause, 6 * MINUTE]);
    assert.ok(again.keep >= first.keep);
  });
});

describe('trying it again', () => {
  it('goes quickly to what had been enough, and from there in steps of half a thousandth', () => {
    const need = found(null, NOW);
    const kept = tries(need);
    const steps = kept.slice(1).map((keep, at) => (kept[at] ?? 0) - keep);
    const small = steps.filter((_, at) => (kept[at] ?? 0) < need.sure);
    assert.ok(Math.max(...small) <= HAS / 1_800);
    assert.ok(kept.filter((keep) => keep >= need.sure).length < 50);
  });

  it('ends below what had not been enough: then it was wrong, or is not true any more', () => {
    const need = found(null, NOW);
    const kept = tries(need);
    assert.ok((kept.at(-1) ?? 0) >= need.limit && need.limit < HAS);
    // Fourteen minutes and the pause: one try every five seconds.
    assert.ok(kept.length < 200, `${kept.length} steps`);
  });

  it('is shorter when it had been tried before: what was found out then is exact', () => {
    const first = found(null, NOW);
    const second = found({ ...first, keep: HAS }, first.until);
    assert.ok(tries(second).length < tries(first).length);
    assert.ok(second.keep < first.keep);
  });
});

describe('any finding', () => {
  it('is bounded by what the guest has and lost, however often it is made', () => {
    const size = fc.nat({ max: 2 ** 40 });
    const finding = fc.record({ has: size, part: fc.double({ min: 0, max: 1, noNaN: true }), passed: fc.nat(10 ** 7) });
    fc.assert(
      fc.property(fc.array(finding, { minLength: 1, maxLength: 40 }), (findings) => {
        let need: CacheNeed | null = null;
        let most = 0;
        let now = NOW;
        for (const { has, part, passed } of findings) {
          now = addMillis(now, millis(passed));
          need = afterRefaults(need, { has: pages(has), missing: pages(Math.floor(has * part)), now });
          most = Math.max(most, 2.3 * has + 8_192);
          assert.ok(need.keep <= most && need.keep > need.sure && need.sure > need.limit);
          assert.ok(need.pause <= 60 * MINUTE);
          need = afterQuiet(need, addMillis(now, millis(passed)));
          assert.deepEqual(JSON.parse(JSON.stringify(need)), need);
        }
      }),
    );
  });
});
