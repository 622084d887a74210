/** Protects the end of a daemon that has just begun: guests that it does not know yet are met first, and nobody is waited for long. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runUntilMet } from '../../src/cli/daemon/run-until-met.js';
import type { GuestNotice, Hypervisor } from '../../src/control/ports.js';
import { unknown } from '../../src/control/signal.js';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { hostPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { Loop } from '../../src/runtime/loop.js';
import { VirtualClock } from '../../src/sim/index.js';
import { addMillis, millis } from '../../src/units.js';
import { FakeHypervisor, fakeGuest, type FakeGuest } from '../support/fake-hypervisor.js';

const turnOfEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What comes from outside takes turns of the event loop, as it does in real time. */
class TurningClock extends VirtualClock {
  override gather(): Promise<void> {
    return turnOfEventLoop();
  }
}

/** Guests of one host, of which each can be told of at any time. */
class FakeHost extends FakeHypervisor {
  isMeeting = false;

  override notice(guest: string): GuestNotice {
    const notice = super.notice(guest);
    return notice.kind === 'guest-came' ? { ...notice, guest: { ...notice.guest, pool: 'fake' } } : notice;
  }
}

interface Rig {
  readonly clock: VirtualClock;
  readonly host: FakeHost;
  readonly loop: Loop<SelfshrinkMemory>;
  /** Tells it to end. */
  readonly stop: () => void;
  /** When it had ended; null: it runs. */
  readonly endedAt: () => number | null;
  readonly pass: (length: number) => Promise<void>;
}

function running(
  guests: Record<string, FakeGuest>,
  { failure = null, clock = new VirtualClock() }: { failure?: Error | null; clock?: VirtualClock } = {},
): Rig & { ended: Promise<void> } {
  const host = new FakeHost(new Map(Object.entries(guests)), () => clock.now());
  const hypervisors: readonly Hypervisor[] = [host];
  const loop = new Loop({
    step: createStep(hostPolicy),
    policyName: hostPolicy.name,
    state: initialState<SelfshrinkMemory>({
      tunables: DEFAULT_TUNABLES,
      isDryRun: false,
      hasFrontswap: false,
      limits: {},
    }),
    clock,
    hypervisors,
    journal: null,
    tell: () => {
      if (failure !== null) throw failure;
    },
  });
  const stopping = new AbortController();
  let endedAt: number | null = null;
  const ended = runUntilMet(loop, { clock, hypervisors }, stopping.signal).finally(() => (endedAt = clock.now()));
  return {
    clock,
    host,
    loop,
    stop: () => {
      stopping.abort();
    },
    ended,
    endedAt: () => endedAt,
    pass: (length) => clock.advanceTo(addMillis(clock.now(), millis(length))),
  };
}

const UNSAID = unknown('not-reported', 'nobody says it');

/** It holds less than it may have, and nobody in it says what it needs. */
const mute = (): FakeGuest =>
  fakeGuest({ total: 60_000, lie: { committed: UNSAID, total: UNSAID, available: UNSAID, free: UNSAID } });

describe('a daemon that is told to end', () => {
  it('ends at once where all are known', async () => {
    const rig = running({ one: fakeGuest() });
    await rig.pass(100);
    rig.stop();
    await rig.pass(0);
    assert.equal(rig.endedAt(), 100);
    await rig.ended;
  });

  it('goes on until whoever is being met is known, and has been looked at', async () => {
    const rig = running({});
    rig.host.isMeeting = true;
    rig.stop();
    await rig.pass(1_000);
    assert.equal(rig.endedAt(), null);
    rig.host.guests.set('late', fakeGuest());
    rig.host.add('late');
    rig.host.isMeeting = false;
    await rig.pass(1_000);
    await rig.ended;
    assert.ok((rig.endedAt() ?? Infinity) <= 1_300);
    assert.notEqual(rig.loop.state.guests.get('late')?.reading ?? null, null);
  });

  it('looks at whoever has come in the very moment', async () => {
    const rig = running({}, { clock: new TurningClock() });
    await rig.pass(100);
    rig.host.guests.set('late', fakeGuest());
    rig.host.add('late');
    rig.stop();
    for (let turn = 0; turn < 10; turn += 1) await turnOfEventLoop();
    await rig.pass(1_000);
    await rig.ended;
    assert.notEqual(rig.loop.state.guests.get('late')?.reading ?? null, null);
  });

  it('goes on for 3 s at most', async () => {
    const rig = running({ one: fakeGuest() });
    await rig.pass(10_000);
    rig.host.isMeeting = true;
    rig.stop();
    await rig.pass(2_900);
    assert.equal(rig.endedAt(), null);
    await rig.pass(200);
    await rig.ended;
    assert.ok((rig.endedAt() ?? Infinity) <= 13_100);
  });

  it('does not wait for one who cannot be read: he is named', async () => {
    const rig = running({ hung: fakeGuest({ behaviour: 'unreadable' }) });
    await rig.pass(100);
    rig.stop();
    await rig.pass(0);
    assert.equal(rig.endedAt(), 100);
    await rig.ended;
  });

  it('waits for a small guest to speak in the first seconds, and not for one that has not spoken since', async () => {
    const guests = { small: mute() };
    const rig = running(guests);
    await rig.pass(100);
    rig.stop();
    await rig.pass(900);
    assert.equal(rig.endedAt(), null);
    guests.small.lie = {};
    await rig.pass(6_000);
    await rig.ended;
    assert.ok((rig.endedAt() ?? Infinity) <= 3_200);
    const later = running({ small: mute() });
    await later.pass(20_000);
    later.stop();
    await later.pass(0);
    assert.equal(later.endedAt(), 20_000);
    await later.ended;
  });

  it('fails as its loop does', async () => {
    const rig = running({}, { failure: new Error('the log is full') });
    const failed = assert.rejects(rig.ended, /the log is full/);
    void rig.loop.writeTunable({ name: 'selfballoon_interval', text: '9', mayChange: true });
    await rig.pass(1_000);
    await failed;
  });
});
