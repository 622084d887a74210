/** Protects the one word for a guest's state: where several hold, it is the one that the documents say. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { GuestState } from '../../src/control/guest-state.js';
import { beginPursuit, type Pursuit } from '../../src/control/pursuit.js';
import type { Rest } from '../../src/control/growth.js';
import { Roster } from '../../src/control/roster.js';
import { knownAt, unknown, type Signal } from '../../src/control/signal.js';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { PublishedState, type GuestRow } from '../../src/runtime/read-model.js';
import { statusOf } from '../../src/server/status.js';
import { millis, pages, type Pages } from '../../src/units.js';
import { REPOSITORY } from '../support/paths.js';
import { readingOf } from '../support/readings.js';

type State = GuestState<SelfshrinkMemory>;
type Change = (state: State) => State;

const NOW = millis(100_000);
const CURRENT = 100_000;

const withRequest =
  (changes: Partial<Pursuit>): Change =>
  (state) => ({ ...state, pursuit: { ...(state.pursuit ?? request(CURRENT - 10_000)), ...changes } });

const request = (target: number): Pursuit =>
  beginPursuit(null, { id: 1, target: pages(target), current: pages(CURRENT), now: NOW });

const began = initialState<SelfshrinkMemory>({
  tunables: DEFAULT_TUNABLES,
  isDryRun: false,
  hasFrontswap: false,
  limits: {},
});

/** A guest of which nothing was asked. */
function steady(): State {
  const capabilities = { canSetTarget: true, hasOverflowTier: false, isSimulated: true };
  const came = { kind: 'guest-came', guest: { id: 'fake/a', name: 'a', capabilities } } as const;
  const [state] = createStep(selfPolicy)(began, [came], NOW).state.guests.list;
  assert.ok(state !== undefined);
  return { ...state, reading: readingOf({ at: NOW, current: CURRENT }) };
}

/** What makes each state hold, in a guest in which those that come later in the page may hold too. */
const MAKE: Readonly<Record<GuestRow['phase'], Change>> = {
  unreadable: (state) => ({ ...state, readFailure: 'gone' }),
  waiting: (state) => ({ ...state, reading: null }),
  observed: (state) => ({ ...state, isDriven: false }),
  failed: withRequest({ phase: 'failed', failure: 'refused' }),
  uncooperative: withRequest({ isUncooperative: true }),
  stuck: withRequest({ phase: 'stuck' }),
  released: (state) => ({ ...state, isReleased: true }),
  steady: (state) => state,
  shrinking: (state) => ({ ...state, pursuit: request(CURRENT - 10_000) }),
  growing: (state) => ({ ...state, pursuit: request(CURRENT + 10_000) }),
};

function rowOf(guest: State): GuestRow | undefined {
  const state = { ...began, guests: Roster.of([guest]) };
  return new PublishedState([], state, NOW).snapshot().guests[0];
}

function documentedPhases(): readonly string[] {
  const page = readFileSync(join(REPOSITORY, 'docs', 'reference', 'reasons.md'), 'utf8');
  const section = /\n## States[^\n]*\n(.*?)\n## /s.exec(page)?.[1] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([a-z]+)`/g)].map(([, name]) => name ?? ''));
}

const isPhase = (name: string): name is GuestRow['phase'] => Object.hasOwn(MAKE, name);

describe('the state of a guest', () => {
  const documented = documentedPhases().filter(isPhase);

  it('is one of those in the reference, which has them all', () => {
    assert.deepEqual([...documentedPhases()].sort(), Object.keys(MAKE).sort());
  });

  for (const phase of documented) {
    it(`is ${phase} where that holds`, () => {
      assert.equal(rowOf(MAKE[phase](steady()))?.phase, phase);
    });
  }

  it('is the first of the page that holds, whichever of the later ones hold too', () => {
    // The last three exclude each other: they are about where the request leads.
    const ranked = documented.slice(0, documented.indexOf('steady'));
    for (const [place, phase] of ranked.entries()) {
      for (const later of ranked.slice(place + 1)) {
        const both = MAKE[phase](MAKE[later](steady()));
        assert.equal(rowOf(both)?.phase, phase, `${phase} and ${later}`);
      }
    }
  });

  it('does not hide that a guest which was given everything back does not take it', () => {
    const released = MAKE.released(MAKE.growing(steady()));
    assert.equal(rowOf(released)?.phase, 'released');
    assert.equal(rowOf(MAKE.stuck(released))?.phase, 'stuck');
    assert.equal(rowOf(MAKE.uncooperative(released))?.phase, 'uncooperative');
  });
});

describe('what a guest that can grow is shown with', () => {
  const size = (count: number): Signal<Pages> => knownAt(pages(count), NOW);
  const growing = (up: Rest | null, down: Rest | null, offline?: Signal<Pages>): State => {
    const sizes = { plugged: size(20_000), asked: size(20_000), pluggable: size(90_000) };
    const reading = { ...readingOf({ at: NOW, current: CURRENT }), growth: { ...sizes, ...(offline && { offline }) } };
    return { ...steady(), reading, growth: { found: pages(0), plugged: pages(20_000), pursuit: null, up, down } };
  };

  it('is nothing where all is well', () => {
    assert.equal(rowOf(growing(null, null))?.why, 'waits for its first decision');
    assert.deepEqual(rowOf(growing(null, null))?.growthFailures, { up: null, down: null });
    assert.equal(rowOf(steady())?.growthFailures, null);
  });

  it('is first what is wrong: what is offline, and how often it was tried', () => {
    const up = { times: 2, until: millis(NOW + 90_000) };
    const row = rowOf(growing(up, { times: 6, until: null }, size(12_800)));
    assert.match(
      row?.why ?? '',
      /^50 MiB that are plugged in are offline; .*\(2 tries, next in 2 min at the earliest\); .*\(6 tries, no more\); waits/,
    );
    const failures = { up: { count: 2, retryAtMs: NOW + 90_000 }, down: { count: 6, retryAtMs: null } };
    assert.deepEqual(row?.growthFailures, failures);
    assert.match(rowOf(growing({ times: 1, until: NOW }, null))?.why ?? '', /plugged in \(1 try\); waits/);
  });

  it('says in the status how much is offline: nothing where nobody says so, and not known while it may be on its way', () => {
    const offlineOf = (offline?: Signal<Pages>): unknown => {
      const state = { ...began, guests: Roster.of([growing(null, null, offline)]) };
      return statusOf(new PublishedState([], state, NOW).snapshot()).guests[0]?.reading?.offlinePages;
    };
    assert.deepEqual(
      [offlineOf(), offlineOf(size(7)), offlineOf(unknown('not-reported', 'it may come'))],
      [0, 7, null],
    );
  });
});
