/** Protects a system's journal from the same line in every round, and whoever reads it from missing what has changed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lineShow } from '../../src/cli/daemon/show.js';
import { SummaryNews } from '../../src/cli/daemon/summary-news.js';
import type { Shown, ShownGuest } from '../../src/cli/daemon/summary.js';

const guest = (changes: Partial<ShownGuest> = {}): ShownGuest => ({
  id: `host/${changes.name ?? 'web'}`,
  name: 'web',
  isSimulated: false,
  isDriven: true,
  phase: 'steady',
  currentPages: 100_000,
  maximumPages: 200_000,
  goalPages: 90_000,
  targetPages: 99_000,
  why: 'a test',
  ...changes,
});
const shown = (...guests: readonly ShownGuest[]): Shown => ({ isDryRun: false, sources: [], hosts: [], guests });
const ROUND = 5_000;
const HOUR = 3_600_000;
const reason = { code: 'at-goal', numbers: {} } as const;

/** Which of the rounds, one each 5 s, bring news. */
function newsOf(...rounds: readonly Shown[]): readonly number[] {
  const news = new SummaryNews();
  return rounds.flatMap((round, n) => (news.isNews(round, n * ROUND) ? [n] : []));
}

const alone = (changes: Partial<ShownGuest>): Shown => shown(guest(changes));
const watched = (changes: Partial<ShownGuest>): Shown =>
  shown(guest(), guest({ name: 'this', isDriven: false, ...changes }));

describe('a summary is news', () => {
  for (const { what, before, after } of [
    { what: 'a size changes', before: alone({}), after: alone({ currentPages: 90_000 }) },
    { what: 'a size grows', before: alone({}), after: alone({ currentPages: 107_000 }) },
    { what: 'the most changes', before: alone({}), after: alone({ maximumPages: 300_000 }) },
    { what: 'a size is not known any more', before: alone({}), after: alone({ currentPages: null }) },
    { what: 'a size comes to be known', before: alone({ currentPages: null }), after: alone({}) },
    { what: 'a guest comes', before: alone({}), after: shown(guest(), guest({ name: 'db', currentPages: 1 })) },
    { what: 'a guest falls into trouble', before: alone({}), after: alone({ phase: 'stuck' }) },
    { what: 'a guest is well again', before: alone({ phase: 'unreadable' }), after: alone({}) },
    { what: 'everything is given back', before: alone({}), after: alone({ phase: 'released' }) },
    { what: 'who is only watched has another size', before: watched({}), after: watched({ currentPages: 80_000 }) },
    { what: 'who is only watched would get another', before: watched({}), after: watched({ targetPages: 80_000 }) },
    { what: 'somebody else is watched', before: watched({}), after: watched({ name: 'that' }) },
  ]) {
    it(`when ${what}, once`, () => {
      assert.deepEqual(newsOf(before, before, after, after), [0, 2]);
    });
  }

  it('when many small changes have come to a large one', () => {
    const rounds = Array.from({ length: 100 }, (_, n) => alone({ currentPages: 100_000 + n * 1_000 }));
    const told = newsOf(...rounds).length;
    assert.ok(told > 8 && told < 14, `${told} of 100`);
  });

  it('when it has been the same for an hour', () => {
    const rounds = Array.from({ length: (2 * HOUR) / ROUND + 1 }, () => alone({}));
    assert.deepEqual(newsOf(...rounds), [0, HOUR / ROUND, (2 * HOUR) / ROUND]);
  });

  it('not when sizes move a little, nor when guests are now on their way and now there', () => {
    const rounds = Array.from({ length: 700 }, (_, n) =>
      alone({ phase: n % 2 === 0 ? 'growing' : 'steady', currentPages: 100_000 + (n % 3) * 2_000, targetPages: n }),
    );
    assert.deepEqual(newsOf(...rounds), [0]);
  });

  it('once a minute when a guest falls into the same trouble again and again', () => {
    const rounds = Array.from({ length: 121 }, (_, n) => alone({ phase: n % 2 === 0 ? 'stuck' : 'growing' }));
    const told = newsOf(...rounds);
    assert.ok(told.length >= 9 && told.length <= 12, told.join());
  });
});

describe('a log without a table', () => {
  it('has every summary, and only news as info', () => {
    const lines: string[] = [];
    let now = 0;
    const log = {
      info: (line: string) => lines.push(`info ${line}`),
      debug: (line: string) => lines.push(`debug ${line}`),
    };
    const show = lineShow(
      () => undefined,
      log,
      () => now,
    );
    const decisions = [{ guest: 'host/web', goal: null, wished: null, target: null, shrinkOverflowTo: null, reason }];
    let seen = alone({});
    show.begin({ snapshot: () => seen });
    for (now = ROUND; now <= 4 * ROUND; now += ROUND) {
      if (now === 3 * ROUND) seen = alone({ currentPages: 50_000 });
      show.afterStep(decisions);
      show.afterStep(decisions);
      show.afterStep([]);
    }
    assert.deepEqual(
      lines.map((line) => line.split(' of ')[0]),
      ['info 1 guest holds 391', 'debug 1 guest holds 391', 'info 1 guest holds 195', 'debug 1 guest holds 195'],
    );
  });
});
