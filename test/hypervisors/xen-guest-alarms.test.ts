/** Protects the alarms of a Xen guest on their way out: in order, merged while nobody takes them, and ended with the watch. */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { Alarm } from '../../src/control/alarm.js';
import type { GuestNotice, Hypervisor } from '../../src/control/ports.js';
import { AlarmBox, mergeAlarms } from '../../src/hypervisors/xen-guest/alarm-box.js';
import { openXenGuest } from '../../src/hypervisors/xen-guest/client.js';
import { VirtualClock } from '../../src/sim/virtual-clock.js';
import { addMillis, millis, pages } from '../../src/units.js';
import { temporaryFolder } from '../signals/proc-roots.js';
import { fixture } from '../support/paths.js';
import { useSeed } from '../support/seed.js';

useSeed();

const ID = 'xen-guest/web-1';
const alarm = (given: Partial<Alarm> = {}): Alarm => ({
  cause: 'low',
  at: millis(100),
  availablePages: pages(10),
  totalPages: pages(1000),
  ...given,
});

describe('alarms that nobody has taken', () => {
  it('become one, with the graver cause and the newest numbers', () => {
    const low = alarm();
    const stalled = alarm({ cause: 'stalled', at: millis(200), availablePages: pages(3) });
    assert.deepEqual(mergeAlarms(low, stalled), stalled);
    assert.deepEqual(mergeAlarms(stalled, { ...low, at: millis(300) }), { ...low, cause: 'stalled', at: millis(300) });
  });

  it('keep the numbers of the older where the newer has none', () => {
    const blind = alarm({ cause: 'stalled', at: millis(200), availablePages: null, totalPages: null });
    assert.deepEqual(mergeAlarms(alarm(), blind), alarm({ cause: 'stalled', at: millis(200) }));
  });

  it('are one however many there were, and none once it was taken', async () => {
    const cause = fc.constantFrom<Alarm['cause']>('low', 'stalled');
    await fc.assert(
      fc.asyncProperty(fc.array(cause, { minLength: 1, maxLength: 50 }), async (causes) => {
        const box = new AlarmBox();
        for (const [at, one] of causes.entries()) box.put(alarm({ cause: one, at: millis(at) }));
        const stop = new AbortController();
        const taken = await box.take(stop.signal);
        assert.equal(taken?.cause, causes.includes('stalled') ? 'stalled' : 'low');
        assert.equal(taken.at, causes.length - 1);
        const next = box.take(stop.signal);
        stop.abort();
        assert.equal(await next, null);
      }),
    );
  });

  it('are handed over as soon as one comes, to whoever waits', async () => {
    const box = new AlarmBox();
    const { signal } = new AbortController();
    const taken = box.take(signal);
    box.put(alarm());
    assert.deepEqual(await taken, alarm());
  });

  it('are not handed over after the end', async () => {
    const box = new AlarmBox();
    box.put(alarm());
    assert.equal(await box.take(AbortSignal.abort()), null);
  });
});

interface Bench {
  readonly clock: VirtualClock;
  readonly guest: Hypervisor;
  readonly setAvailable: (kib: number) => void;
  readonly pass: (length: number) => Promise<void>;
}

/** A guest that has 1,000,000 KiB, in a folder: there is no pressure trigger. */
function open(test: TestContext, isWatched: boolean): Bench {
  const root = temporaryFolder(test);
  cpSync(fixture('xen-guest'), root, { recursive: true });
  const clock = new VirtualClock();
  const setAvailable = (kib: number): void => {
    writeFileSync(join(root, 'proc', 'meminfo'), `MemTotal: 1000000 kB\nMemFree: 0 kB\nMemAvailable: ${kib} kB\n`);
  };
  setAvailable(500_000);
  const trigger = { stall: millis(100), window: millis(1000) };
  const alarms = isWatched ? { clock, trigger } : null;
  const guest = openXenGuest({ root, now: () => clock.now(), tier: null, alarms });
  test.after(() => guest.close());
  const pass = (length: number): Promise<void> => clock.advanceTo(addMillis(clock.now(), millis(length)));
  return { clock, guest, setAvailable, pass };
}

/** What is announced, as a list that grows; each notice in a few words. */
function listen(guest: Hypervisor, signal: AbortSignal): { readonly heard: string[]; readonly end: Promise<void> } {
  const heard: string[] = [];
  const words = (notice: GuestNotice): string =>
    notice.kind === 'guest-alarm'
      ? `${notice.guest} ${notice.alarm.cause} at ${notice.alarm.at}: ${notice.alarm.availablePages ?? '?'}`
      : notice.kind;
  const follow = async (): Promise<void> => {
    for await (const notice of guest.watchGuests(signal)) heard.push(words(notice));
  };
  return { heard, end: follow() };
}

describe('a Xen guest that is watched between two rounds', () => {
  it('announces itself, and then each alarm as it comes', async (test) => {
    const { guest, setAvailable, pass } = open(test, true);
    const stop = new AbortController();
    const { heard, end } = listen(guest, stop.signal);
    await pass(5000);
    setAvailable(40_000);
    await pass(1000);
    setAvailable(20_000);
    await pass(1000);
    stop.abort();
    await end;
    assert.equal(heard.length, 3);
    assert.equal(heard[0], 'guest-came');
    assert.match(heard[1] ?? '', new RegExp(`^${ID} low at 5\\d\\d\\d: 10000$`));
    assert.match(heard[2] ?? '', new RegExp(`^${ID} low at 6\\d\\d\\d: 5000$`));
  });

  it('merges what comes while the last notice is still being dealt with', async (test) => {
    const { guest, setAvailable, pass } = open(test, true);
    const stop = new AbortController();
    const notices = guest.watchGuests(stop.signal)[Symbol.asyncIterator]();
    await notices.next();
    const first = notices.next();
    setAvailable(40_000);
    await pass(1000);
    assert.equal((await first).done, false);
    for (let n = 0; n < 10; n += 1) await pass(8000);
    setAvailable(4_000);
    await pass(8000);
    const second = await notices.next();
    assert.ok(second.done !== true && second.value.kind === 'guest-alarm');
    assert.equal(second.value.alarm.availablePages, 1000);
    const third = notices.next();
    stop.abort();
    assert.equal((await third).done, true);
  });

  it('leaves nothing behind, whether it is told to end or nobody listens any more', async (test) => {
    const { clock, guest, pass } = open(test, true);
    const before = readdirSync('/proc/self/fd').length;
    const stop = new AbortController();
    const { end } = listen(guest, stop.signal);
    await pass(100);
    assert.notEqual(clock.nextTimerAt, null);
    stop.abort();
    await end;
    assert.equal(clock.nextTimerAt, null);
    await pass(1000);
    const again = open(test, true);
    again.setAvailable(1_000);
    for await (const notice of again.guest.watchGuests(new AbortController().signal)) {
      if (notice.kind === 'guest-alarm') break;
    }
    assert.equal(again.clock.nextTimerAt, null);
    await again.guest.close();
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });

  it('gives no alarms when it is not watched, however little is left', async (test) => {
    const { clock, guest, setAvailable, pass } = open(test, false);
    const stop = new AbortController();
    const { heard, end } = listen(guest, stop.signal);
    setAvailable(0);
    await pass(60_000);
    assert.deepEqual([heard, clock.nextTimerAt], [['guest-came'], null]);
    stop.abort();
    await end;
  });
});
