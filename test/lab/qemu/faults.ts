/**
 * What one guest of two suffers or does, and what becomes of the other: it goes on being driven, whatever happens. Protects that nothing
 * hangs, and that what was taken from the guest in trouble is neither forgotten nor made more.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { waitFor } from '../../../lab/xen/shell.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import { assertReplays, lastRun, ofGuest, readingsIn, targetsIn, valueOf } from '../xen/journal.js';
import type { Event } from '../../../src/control/events.js';
import type { StepRecord } from '../../../src/control/journal.js';
import type { ShownGuest } from './host.js';
import { lies } from './lies.js';
import { COMMIT_MIB, held, isAtFloor, otherGoesOn, PLAIN, REPORTING, type Pair } from './pair.js';

const WAIT_MS = 120_000;
/** After an alarm nothing is taken for 30 s, and for twice as long each time when there was one not long before. */
const AFTER_ALARMS_MS = 240_000;

const isRestart = (event: Event): boolean => event.kind === 'guest-alarm' && event.alarm.cause === 'restarted';

/** To be called in the suite of the pair, whose guests are driven and at their floors. `others`: what else may be wrong with one. */
export function faults(pair: Pair, others: () => void = () => undefined): void {
  const { guest, host } = pair;
  const goesOn = (): Promise<void> => otherGoesOn(pair);
  const byLargerSteps = (): Promise<void> => host().set('selfballoon_downhysteresis', 2);
  const untilFloor = (name: string, limitMs?: number): Promise<ShownGuest> =>
    host().until(name, 'a guest at its floor', isAtFloor, limitMs);
  const untilKnownSize = (): Promise<ShownGuest> =>
    host().until(PLAIN, 'what it holds', ({ currentPages }) => currentPages !== null);
  const untilUnknown = (): Promise<ShownGuest> =>
    host().until(
      PLAIN,
      'a guest of which nothing is known',
      ({ phase, reason }) => phase === 'unreadable' || reason?.code === 'signal-unknown',
    );

  describe('when something is wrong with one of them', { concurrency: 1 }, () => {
    pair.test('what follows goes by larger steps', byLargerSteps);

    pair.test('a QEMU that is stopped is not known; the other goes on, and it does when it is continued', async () => {
      guest(PLAIN).signal('SIGSTOP');
      await untilUnknown();
      await goesOn();
      // At first it may only have been late.
      await untilUnknown();
      guest(PLAIN).signal('SIGCONT');
      await untilFloor(PLAIN);
    });

    pair.test('an agent that falls silent: nothing more is taken from its guest until it speaks again', async () => {
      const need = await guest(PLAIN).load.commit(COMMIT_MIB);
      await need.until('holds');
      await host().until(PLAIN, 'a larger guest', (one) => held(one) >= COMMIT_MIB * PAGES_PER_MIB);
      await guest(PLAIN).signalGuestAgent('STOP');
      const silent = await host().until(
        PLAIN,
        'word of its silence',
        ({ reason, currentPages }) => reason?.code === 'signal-unknown' && currentPages !== null,
      );
      await need.release();
      await goesOn();
      assert.ok(held(await untilKnownSize()) >= held(silent), 'it was made smaller in the dark');
      await guest(PLAIN).signalGuestAgent('CONT');
      await untilFloor(PLAIN);
    });

    pair.test('a balloon whose driver is unloaded is not obeyed, which is told; loaded again, it is', async () => {
      const { length: from } = host().log;
      await guest(PLAIN).unloadBalloon();
      await host().untilLogged(new RegExp(`${pair.id(PLAIN)}: does not give memory up`), { from });
      await goesOn();
      await guest(PLAIN).loadBalloon();
      await untilFloor(PLAIN);
    });
  });
  others();
  lies(pair);
  describe('when the daemon is killed', { concurrency: 1 }, () => {
    pair.test(
      'the next one reads what each guest holds before it asks for anything, and leaves nobody small',
      async () => {
        const [atFloor] = await Promise.all([untilFloor(PLAIN, AFTER_ALARMS_MS), untilFloor(REPORTING)]);
        const small = held(atFloor);
        await host().end('SIGKILL');
        host().start();
        await host().until(PLAIN, 'a daemon that knows it', () => true);
        await byLargerSteps();
        await untilFloor(PLAIN);
        const run = ofGuest(lastRun(host().journal), pair.id(PLAIN));
        const first = run.steps.findIndex((step) => readingsIn(step).length > 0);
        assert.deepEqual(run.steps.slice(0, first).flatMap(targetsIn), []);
        const reading = run.steps.flatMap(readingsIn)[0];
        assert.ok(reading !== undefined && Math.abs(valueOf(reading.current) - small) < PAGES_PER_MIB);
        await goesOn();
        await assertReplays(host().journal);
      },
    );
  });
  describe('when a guest is reset', { concurrency: 1 }, () => {
    pair.test('it has everything back, and keeps it while it boots: nobody in it says yet what it needs', async () => {
      await untilFloor(PLAIN);
      const { length: from } = host().log;
      const { length: before } = lastRun(host().journal).steps;
      // Nothing answers that any more.
      guest(PLAIN)
        .tryRun('echo b >/proc/sysrq-trigger')
        .catch(() => undefined);
      await host().untilLogged(new RegExp(`${pair.id(PLAIN)}: begins anew`), { from });
      // It was asked for a page less, so that its new balloon driver has something to say.
      const hasSpoken = ({ currentPages, maximumPages }: ShownGuest): boolean =>
        currentPages !== null && currentPages === (maximumPages ?? NaN) - 1;
      const { maximumPages } = await host().until(PLAIN, 'the word of its new balloon driver', hasSpoken);
      const { steps } = ofGuest(lastRun(host().journal), pair.id(PLAIN));
      const targets = whileSpeechless(steps.slice(before)).flatMap(targetsIn);
      assert.ok(targets.length > 0);
      assert.deepEqual(
        targets.map(({ target }) => target).filter((target) => target !== maximumPages),
        [],
      );
      assert.doesNotMatch(host().log.slice(from), new RegExp(`${pair.id(PLAIN)}: does not get the memory`));
      await goesOn();
    });
  });
  describe('when a QEMU is killed', { concurrency: 1 }, () => {
    pair.test('its guest is dropped, the other goes on, and is whole when the daemon is told to end', async () => {
      guest(PLAIN).signal('SIGKILL');
      await host().untilDropped(PLAIN);
      await goesOn();
      await host().end('SIGTERM');
      assert.match(host().log, /gave everything back/);
      await waitFor({ what: 'a whole guest', limitMs: WAIT_MS }, async () =>
        (await guest(REPORTING).load.look()).kib('MemFree') > 300 * 1_024 ? true : null,
      );
    });
  });
}

/**
 * From a guest's reset until somebody in it has said again what it needs; a boot may take longer than the guest's time of rest. Its agents that
 * come again are a beginning too, and not the first.
 */
function whileSpeechless(steps: readonly StepRecord[]): readonly StepRecord[] {
  const since = steps.slice(steps.findIndex(({ events }) => events.some(isRestart)));
  const resetAt = since[0]?.at ?? NaN;
  const word = since.findIndex((step) =>
    readingsIn(step).some(({ committed }) => committed.known && committed.at > resetAt),
  );
  return word < 0 ? since : since.slice(0, word);
}
