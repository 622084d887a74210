/**
 * Protects the others from a guest that keeps its page cache, truly or not: it stays within its own limits, and gets only what is
 * free. And what the guard remembers: it goes into the journal and comes back.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createReplay,
  decodeState,
  encodeState,
  JOURNAL_FORMAT,
  type JournalRecord,
} from '../../src/control/journal.js';
import { SAFEGUARDS } from '../../src/control/safeguards.js';
import { knownAt } from '../../src/control/signal.js';
import type { Signals } from '../../src/control/reading.js';
import { createStep, initialState, type ControlState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { bareHostPolicy, hostPolicy, type HostMemory } from '../../src/policies/index.js';
import { decodeRecord } from '../../src/cli/journal/decode-record.js';
import { millis, pages, type Millis } from '../../src/units.js';
import { readingOf } from '../support/readings.js';
import { sharedGuest, SharedHost, type SharedGuest } from '../support/shared-host.js';

/** Says that it is full of page cache, and reads back a million pages a second. */
const greedy = (at: Millis): Partial<Signals> => ({
  free: knownAt(pages(0), at),
  cached: knownAt(pages(90_000), at),
  refaults: knownAt(at * 1_000, at),
});

describe('a guest that says that it lives from its page cache', () => {
  const withGreedy = (limits: SharedGuest['limits'] = null) => ({
    greedy: sharedGuest({ held: 100_000, claims: greedy, limits }),
    busy: sharedGuest({ held: 60_000, target: 60_000, committed: 20_000 }),
    idle: sharedGuest({ held: 100_000 }),
  });

  it('grows no further than its own ceiling', () => {
    const guests = withGreedy({ floor: pages(0), ceiling: pages(120_000) });
    const host = new SharedHost({ total: 600_000, guests });
    host.liveUntil(600);
    assert.ok(guests.greedy.held >= 119_000 && guests.greedy.held <= 120_000);
  });

  it('gets what is free and no more: the reserve stays, and no other guest is made smaller for it', () => {
    const guests = withGreedy();
    const alone = withGreedy();
    Object.assign(alone.greedy, { claims: () => ({}), behaviour: 'ignores' });
    const [host, quiet] = [guests, alone].map((of) => new SharedHost({ total: 270_000, reserve: 8_000, guests: of }));
    assert.ok(host !== undefined && quiet !== undefined);
    for (let seconds = 1; seconds <= 600; seconds += 1) {
      host.liveUntil(seconds);
      assert.ok(host.free >= 8_000);
    }
    quiet.liveUntil(600);
    assert.ok(guests.greedy.held > 100_000);
    for (const name of ['busy', 'idle'] as const) assert.ok(Math.abs(guests[name].held - alone[name].held) < 100);
  });

  it('is needed to be granted: without the rule that memory is free before it is promised it takes what is not there', () => {
    const grant: typeof SAFEGUARDS.grant = (wanted) => wanted;
    const host = new SharedHost({ total: 270_000, guests: withGreedy(), safeguards: { ...SAFEGUARDS, grant } });
    assert.throws(() => {
      host.liveUntil(600);
    });
  });
});

const GUEST = {
  id: 'fake/web',
  name: 'web',
  capabilities: { canSetTarget: true, hasOverflowTier: false, isSimulated: true },
};

/** The records of one run: a guest that is found out and then quiet, with a start in the middle. */
function recordsOf(): readonly JournalRecord[] {
  const step = createStep(hostPolicy);
  const settings = { tunables: DEFAULT_TUNABLES, isDryRun: false, hasFrontswap: false, limits: {} };
  let state: ControlState<HostMemory> = initialState(settings);
  const records: JournalRecord[] = [];
  for (let look = 0; look < 40; look += 1) {
    const at = millis(1_000 + look * 5_000);
    if (look === 0 || look === 20) {
      const named = { policy: hostPolicy.name, run: 'a run', at, state: encodeState(state) };
      records.push({ kind: 'start', format: JOURNAL_FORMAT, ...named });
    }
    const files = { cached: knownAt(pages(60_000), at), refaults: knownAt(Math.min(look, 5) * 1_000, at) };
    const reading = { ...readingOf({ at, free: 1_000 }), ...files, swapTotal: knownAt(pages(1), at) };
    const came = look === 0 ? ([{ kind: 'guest-came', guest: GUEST }] as const) : [];
    const events = [...came, { kind: 'reading', guest: GUEST.id, reading } as const];
    const { state: next, actions, decisions, wakeAt } = step(state, events, at);
    state = next;
    records.push({ kind: 'step', at, events, actions, decisions, wakeAt });
  }
  assert.ok(state.guests.get(GUEST.id)?.memory.cache?.need !== null, 'something was found out');
  return JSON.parse(JSON.stringify(records)) as readonly JournalRecord[];
}

const replay = (records: readonly JournalRecord[], policy: typeof hostPolicy): readonly string[] => {
  const replaying = createReplay(() => createStep(policy));
  return records.flatMap((record) => replaying.take(record)?.kind ?? []);
};

describe('what the guard remembers', () => {
  it('is in the journal, and leads to the same decisions and the same state again', () => {
    assert.deepEqual(replay(recordsOf(), hostPolicy), []);
  });

  it('decides: without the guard the same events lead elsewhere', () => {
    assert.ok(replay(recordsOf(), bareHostPolicy).length > 0);
  });

  it('may be missing in a record from before there was a guard: the guest is then as one that was never looked at', () => {
    const start = recordsOf().findLast(({ kind }) => kind === 'start') ?? assert.fail();
    const old = JSON.parse(JSON.stringify(start), (key, value: unknown) =>
      key === 'cache' ? undefined : value,
    ) as typeof start;
    assert.equal(decodeRecord(old).kind, 'record');
    assert.ok(old.kind === 'start');
    const state = decodeState<HostMemory>(old.state);
    assert.equal(state.guests.get(GUEST.id)?.memory.cache, undefined);
    const at = millis(10 ** 6);
    const reading = { ...readingOf({ at, free: 1_000 }), swapTotal: knownAt(pages(1), at) };
    const { decisions, actions } = createStep(hostPolicy)(state, [{ kind: 'reading', guest: GUEST.id, reading }], at);
    assert.deepEqual(
      decisions.map(({ reason }) => reason.code),
      ['cache-unwatched'],
    );
    assert.ok(actions.some(({ kind }) => kind === 'set-target'));
  });
});
