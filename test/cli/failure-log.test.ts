/**
 * Protects the log from a failure that concerns many guests, or goes on: it is said when it begins and when it is over, in one line
 * for all who share it, and the journal has every one of them.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { FailureLog } from '../../src/cli/daemon/failure-log.js';
import type { FailedPart, Tell } from '../../src/control/actions.js';
import type { StepRecord } from '../../src/control/journal.js';
import type { GuestPolicy } from '../../src/control/policy.js';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import type { ErrorCode } from '../../src/errors.js';
import { hostPolicy, selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { Loop, type LoopParts } from '../../src/runtime/loop.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';
import { REPORT, Rig as XenRig } from '../hypervisors/xen-host/support/rig.js';
import { reportText } from '../support/report-text.js';
import { FakeHypervisor, fakeGuest, type FakeGuest } from '../support/fake-hypervisor.js';

type Behaviour = FakeGuest['behaviour'];

interface Followed {
  /** What the log says of failures and their ends: `5 s warning g1: …`. */
  readonly lines: readonly string[];
  readonly records: readonly StepRecord[];
}

/** Runs a loop until the test is done, and follows what the log says of it. */
function follow(
  test: TestContext,
  parts: Pick<LoopParts<SelfshrinkMemory>, 'clock' | 'hypervisors'>,
  policy: GuestPolicy<SelfshrinkMemory> = selfPolicy,
): Followed {
  const { clock } = parts;
  const lines: string[] = [];
  const records: StepRecord[] = [];
  const log = new FailureLog({
    say: ({ level, code, guest, text }) => {
      if (code !== 'action-failed' && code !== 'works-again') return;
      lines.push(`${Math.round(clock.now() / 1_000)} s ${level} ${guest ?? 'all'}: ${text}`);
    },
    now: () => clock.now(),
  });
  const loop = new Loop<SelfshrinkMemory>({
    ...parts,
    step: createStep(policy),
    policyName: policy.name,
    state: STATE,
    journal: { record: (step) => void records.push(step), close: () => undefined },
    tell: (tell) => {
      log.take(tell);
    },
    afterStep: ({ state }) => {
      log.afterStep((guest) => state.guests.get(guest));
    },
  });
  const ending = new AbortController();
  const running = loop.run(ending.signal);
  test.after(async () => {
    ending.abort();
    await running;
  });
  return { lines, records };
}

const STATE = initialState<SelfshrinkMemory>({
  tunables: DEFAULT_TUNABLES,
  isDryRun: false,
  hasFrontswap: false,
  limits: {},
});

/** How many failures are in the journal, and how many of them were told. */
const countsIn = (records: readonly StepRecord[]): readonly number[] => [
  records.flatMap(({ events }) => events.filter(({ kind }) => kind === 'action-failed')).length,
  records.flatMap(({ actions }) =>
    actions.filter((action) => action.kind === 'tell' && action.code === 'action-failed'),
  ).length,
];

/** Guests that a test makes fail. */
class Rig {
  readonly clock = new VirtualClock();
  readonly guests: Map<string, FakeGuest>;
  readonly #followed: Followed;

  constructor(test: TestContext, count: number) {
    this.guests = new Map(Array.from({ length: count }, (_, n) => [`g${n + 1}`, fakeGuest({ committed: 20_000 })]));
    const hypervisor = new FakeHypervisor(this.guests, () => this.clock.now());
    this.#followed = follow(test, { clock: this.clock, hypervisors: [hypervisor] });
  }

  get lines(): readonly string[] {
    return this.#followed.lines;
  }

  /** Failures in the journal, as they came and as they were told. */
  get counts(): readonly number[] {
    return countsIn(this.#followed.records);
  }

  /** Some of them, or all, behave so from now on. */
  let(behaviour: Behaviour, ...names: readonly string[]): void {
    for (const [name, guest] of this.guests) {
      if (names.length === 0 || names.includes(name)) guest.behaviour = behaviour;
    }
  }

  to(seconds: number): Promise<void> {
    return this.clock.advanceTo(millis(seconds * 1_000));
  }
}

describe('the log of a guest that fails in every round', () => {
  it('has a line when it begins and one when it is over, with how often it failed; the journal has all', async (test) => {
    const rig = new Rig(test, 1);
    rig.let('refuses');
    await rig.to(62);
    assert.deepEqual(rig.lines, ['5 s warning g1: guest g1: not allowed']);
    assert.deepEqual(rig.counts, [12, 12]);
    rig.let('obeys');
    await rig.to(120);
    assert.equal(rig.lines.length, 2);
    assert.match(rig.lines[1] ?? '', /^95 s info g1: can be asked for another size again, after 12 failures$/);
  });

  it('has it again when it fails again later', async (test) => {
    const rig = new Rig(test, 1);
    for (const [seconds, behaviour] of [
      [30, 'refuses'],
      [90, 'obeys'],
      [120, 'refuses'],
    ] as const) {
      rig.let(behaviour);
      await rig.to(seconds);
    }
    assert.equal(rig.lines.filter((line) => line.includes('not allowed')).length, 2);
  });

  it('has it once when it fails in every other round only', async (test) => {
    const rig = new Rig(test, 1);
    for (let seconds = 5; seconds <= 300; seconds += 5) {
      rig.let(seconds % 2 === 0 ? 'obeys' : 'refuses');
      // It must be asked for something in every round.
      for (const guest of rig.guests.values()) guest.total = 131_072;
      await rig.to(seconds + 1);
    }
    assert.ok((rig.counts[0] ?? 0) >= 25);
    assert.equal(rig.lines.filter((line) => line.includes('not allowed')).length, 1, rig.lines.join('\n'));
  });
});

describe('the log of many guests that fail', () => {
  it('has one line for all that fail alike, with the first ones’ names and one reason', async (test) => {
    const rig = new Rig(test, 40);
    rig.let('refuses');
    await rig.to(60);
    assert.deepEqual(rig.lines, [
      '5 s warning all: 40 guests could not be asked for another size (EPERM): g1, g2, g3, g4, g5 and 35 more. ' +
        'The first: guest g1: not allowed',
    ]);
    assert.deepEqual(rig.counts, [480, 480]);
    rig.let('obeys');
    await rig.to(120);
    assert.match(rig.lines[1] ?? '', /^95 s info all: 40 guests can be asked .* again, after 480 failures: g1, g2,/);
    assert.equal(rig.lines.length, 2);
  });

  it('names those that follow a little later together, and not at once', async (test) => {
    const rig = new Rig(test, 4);
    rig.let('refuses', 'g1');
    await rig.to(6);
    rig.let('refuses');
    await rig.to(60);
    assert.deepEqual(
      rig.lines.map((line) => line.replace(/\(.*/, '')),
      ['5 s warning g1: guest g1: not allowed', '15 s warning all: 3 guests could not be asked for another size '],
    );
  });

  it('has one line for a look that brought nothing of any of them', async (test) => {
    const rig = new Rig(test, 10);
    await rig.to(6);
    rig.let('unreadable');
    await rig.to(60);
    rig.let('obeys');
    await rig.to(120);
    assert.equal(rig.lines.length, 2);
    assert.match(
      rig.lines[0] ?? '',
      /^10 s warning all: 10 guests could not be read \(EIO\): g1, .*The first: could not be read/,
    );
    assert.match(rig.lines[1] ?? '', /^9\d s info all: 10 guests can be read again: g1/);
  });

  it('keeps those that fail otherwise apart, and forgets one that leaves', async (test) => {
    const rig = new Rig(test, 3);
    rig.let('refuses', 'g1');
    rig.let('silent', 'g2');
    await rig.to(70);
    assert.deepEqual(rig.lines.map((line) => line.replace(/^\d+ s warning (g\d): .*/, '$1')).sort(), ['g1', 'g2']);
    rig.guests.delete('g1');
    await rig.to(120);
    assert.ok(!rig.lines.join().includes('works'));
  });
});

describe('what waits to be said', () => {
  const failed = (part: FailedPart, guest: string, code: ErrorCode): Tell => ({
    kind: 'tell',
    level: 'warning',
    code: 'action-failed',
    guest,
    text: `failed with ${code}`,
    failure: { part, code },
  });

  class Talk {
    readonly said: string[] = [];
    now = 0;
    readonly log = new FailureLog({
      say: ({ guest, text }) => this.said.push(`${guest ?? 'all'}: ${text}`),
      now: () => millis(this.now),
    });
  }
  const nobody = (): undefined => undefined;

  it('is said at the end, and nothing is lost', () => {
    const { log, said } = new Talk();
    log.take(failed('target', 'a', 'EIO'));
    log.afterStep(nobody);
    for (const guest of ['b', 'c']) log.take(failed('target', guest, 'EIO'));
    log.afterStep(nobody);
    assert.deepEqual(said, ['a: failed with EIO']);
    log.close();
    assert.match(said[1] ?? '', /^all: 2 guests .*: b, c\./);
    log.close();
    assert.equal(said.length, 2);
  });

  it('does not hold up what is no failure of a guest', () => {
    const { log, said } = new Talk();
    log.take({ kind: 'tell', level: 'info', code: 'stuck', guest: 'a', text: 'is stuck' });
    log.take({ kind: 'tell', level: 'warning', code: 'action-failed', guest: null, text: 'the queue is full' });
    assert.deepEqual(said, ['a: is stuck', 'all: the queue is full']);
  });

  it('is said once for each code, and of a tier until it was shrunk', () => {
    const rig = new Talk();
    const { log, said } = rig;
    for (const [at, code] of [
      [0, 'EIO'],
      [5_000, 'ETIMEDOUT'],
      [10_000, 'EIO'],
      [15_000, 'ETIMEDOUT'],
    ] as const) {
      rig.now = at;
      log.take(failed('shrinking', 'a', code));
      log.afterStep(nobodyHasLeft);
    }
    rig.now = 30_000;
    log.take({ kind: 'tell', level: 'debug', code: 'overflow-shrunk', guest: 'a', text: 'shrunk' });
    rig.now = 60_000;
    log.afterStep(nobodyHasLeft);
    assert.deepEqual(said, [
      'a: failed with EIO',
      'a: failed with ETIMEDOUT',
      'a: shrunk',
      'a: had the overflow tier shrunk again, after 4 failures',
    ]);
  });
});

const { guests: someGuests } = createStep(selfPolicy)(
  STATE,
  [new FakeHypervisor(new Map(), () => millis(0)).notice('a')],
  millis(0),
).state;
const nobodyHasLeft = (guest: string) => someGuests.get(guest);

describe('a host whose xenstored is gone', () => {
  it('does not fill the log, however many guests it has', async (test) => {
    const COUNT = 30;
    const rig = await XenRig.open(
      test,
      (xen) => {
        xen.totalKib = 16_777_216;
        for (let domid = 1; domid <= COUNT; domid += 1) xen.create(domid);
      },
      { isWatched: false },
    );
    const { lines, records } = follow(test, { clock: rig.clock, hypervisors: [rig.host] }, hostPolicy);
    for (let second = 1; second <= 12; second += 1) {
      for (let domid = 1; domid <= COUNT; domid += 1) {
        rig.xen.put(`/local/domain/${domid}/${REPORT}`, reportText(second, { committed: 20_000 }));
      }
      await rig.to(second * 1_000);
    }
    rig.isDown = true;
    await rig.cut();
    await rig.to(40_000);
    assert.deepEqual(countsIn(records), [COUNT, COUNT]);
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(
      lines[0] ?? '',
      /all: 30 guests could not be .* size \(EUNAVAILABLE\): xen-host\/guest-1:1, .* and 25 more\./,
    );
    assert.match(lines[0] ?? '', /The first: .*no connection to xenstored/);
  });
});
