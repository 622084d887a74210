/** Protects what is made of a guest's reports, one after another: how old they are, an alarm told once, and silence noticed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { knownAt, unknown } from '../../src/control/signal.js';
import {
  newAlarm,
  NO_REPORTS,
  signalsOf,
  silenceOf,
  withReport,
  type GuestReports,
} from '../../src/signals/reported-guest.js';
import { millis, pages } from '../../src/units.js';
import { reportText } from '../support/report-text.js';

const AT = millis(10_000);

const reported = (text: string, at = AT, before = NO_REPORTS): GuestReports => withReport(before, text, at);

describe('the signals of a guest that reports', () => {
  it('have the time at which the report came, and not what it holds', () => {
    const signals = signalsOf(reported(reportText(1), millis(4_000)));
    assert.deepEqual(signals.total, { known: true, value: 60_000, at: 4_000 });
    assert.deepEqual(signals.committed, { known: true, value: 20_000, at: 4_000 });
    assert.equal('current' in signals, false);
  });

  it('are none where it has never reported, and unknown with the reason where it wrote nonsense only', () => {
    assert.deepEqual(signalsOf(NO_REPORTS), {});
    const { total, committed, free } = signalsOf(reported('nonsense'));
    assert.ok(total?.known === false && total.reason === 'malformed' && total.detail.includes('nonsense'));
    assert.deepEqual([committed, free], [total, undefined]);
  });

  it('never have more free or available than there is', () => {
    const { free, available } = signalsOf(reported(reportText(1, { total: 80_000 })));
    assert.deepEqual(
      [free, available].map((signal) => signal?.known === true && signal.value),
      [20_000, 20_000],
    );
    const smaller = signalsOf(reported(reportText(1)), knownAt(pages(10_000), AT));
    assert.deepEqual(smaller.free, { known: true, value: 10_000, at: AT });
    const unclear = signalsOf(reported(reportText(1)), unknown('implausible', 'a lie'));
    assert.deepEqual(unclear.free, { known: true, value: 25_000, at: AT });
  });
});

describe('an alarm', () => {
  const told = (before: GuestReports, after: GuestReports): unknown => newAlarm(before, after)?.cause ?? null;

  it('is told once, when the guest has counted one more', () => {
    const quiet = reported(reportText(1));
    const alarmed = reported(reportText(2, { alarms: 1, alarm: 'stalled' }), millis(11_000), quiet);
    assert.deepEqual(newAlarm(quiet, alarmed), {
      cause: 'stalled',
      at: 11_000,
      availablePages: 40_000,
      totalPages: 60_000,
    });
    const repeated = reported(reportText(3, { alarms: 1, alarm: 'stalled' }), millis(12_000), alarmed);
    assert.equal(newAlarm(alarmed, repeated), null);
    const again = reported(reportText(4, { alarms: 2, alarm: 'low' }), millis(13_000), repeated);
    assert.equal(told(repeated, again), 'low');
  });

  it('from before anybody listened is old', () => {
    assert.equal(told(NO_REPORTS, reported(reportText(9, { alarms: 5, alarm: 'low' }))), null);
  });

  it('of a reporter that was started again counts from the beginning', () => {
    const before = reported(reportText(500, { alarms: 1, alarm: 'low' }));
    const restarted = reported(reportText(1), AT, before);
    assert.equal(told(before, restarted), null);
    assert.equal(told(restarted, reported(reportText(2, { alarms: 1, alarm: 'stalled' }), AT, restarted)), 'stalled');
    assert.equal(told(before, reported(reportText(2, { alarms: 1, alarm: 'stalled' }), AT, before)), 'stalled');
  });

  it('without numbers that make sense is an alarm all the same', () => {
    const quiet = reported(reportText(1));
    const text = reportText(2, { alarms: 1, alarm: 'low', available: -1, total: 'x' });
    const alarm = newAlarm(quiet, reported(text, AT, quiet));
    assert.deepEqual([alarm?.availablePages, alarm?.totalPages], [null, null]);
  });

  it('of a cause that nobody knows is none', () => {
    const quiet = reported(reportText(1));
    assert.equal(told(quiet, reported(reportText(2, { alarms: 1, alarm: 'bored' }), AT, quiet)), null);
  });
});

describe('silence', () => {
  const reports = reported(reportText(1));

  it('begins with the last report, or when somebody began to listen', () => {
    const isSilent = (now: number, listeningFrom: number): boolean =>
      silenceOf(reports, millis(now), millis(listeningFrom)) !== null;
    assert.deepEqual([isSilent(40_000, 0), isSilent(40_001, 0)], [false, true]);
    assert.deepEqual([isSilent(80_000, 50_000), isSilent(80_001, 50_000)], [false, true]);
    assert.equal(silenceOf(NO_REPORTS, millis(1e9), millis(0)), null);
  });

  it('is told at once of a guest that takes its report back', () => {
    assert.deepEqual(newAlarm(reports, NO_REPORTS), {
      cause: 'silent',
      at: AT,
      availablePages: null,
      totalPages: null,
    });
    assert.equal(newAlarm(NO_REPORTS, NO_REPORTS), null);
  });
});
