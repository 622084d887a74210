/** Protects how a guest tells its host: on change and at alarms, never too often, and always again after a failure. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NOTHING_KNOWN, type Signals } from '../../src/control/reading.js';
import { knownAt } from '../../src/control/signal.js';
import { Reporter, type ReporterOptions } from '../../src/reporter/reporter.js';
import { parseReport, type Report } from '../../src/signals/report.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis, pages } from '../../src/units.js';

/** More than any test leads to. */
const LOOKS_MAX = 100_000;

class Rig {
  readonly clock = new VirtualClock();
  readonly published: { readonly at: number; readonly report: Report }[] = [];
  readonly told: string[] = [];
  readonly looks: number[] = [];
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  readonly reporter: Reporter;
  total = 100_000;
  isBroken = false;

  constructor(options: Partial<ReporterOptions> = {}) {
    this.reporter = new Reporter({
      clock: this.clock,
      read: () => this.#look(),
      publish: (text) => this.#publish(text),
      tell: (message) => this.told.push(message),
      ...options,
    });
    this.#running = this.reporter.run(this.#ending.signal);
  }

  #look(): Signals {
    this.looks.push(this.clock.now());
    // One that looks without a pause would keep the clock where it is for ever.
    if (this.looks.length > LOOKS_MAX) this.#ending.abort();
    return { ...NOTHING_KNOWN, total: knownAt(pages(this.total), this.clock.now()) };
  }

  #publish(text: string): Promise<void> {
    if (this.isBroken) return Promise.reject(new Error('EACCES'));
    const report = parseReport(text);
    assert.ok(report.known);
    this.published.push({ at: this.clock.now(), report: report.value });
    return Promise.resolve();
  }

  to(at: number): Promise<void> {
    return this.clock.advanceTo(millis(at));
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  times(): readonly number[] {
    return this.published.map(({ at }) => at);
  }
}

describe('a guest’s reporter', () => {
  it('reports at once, and then once a second while nothing changes', async () => {
    const rig = new Rig();
    await rig.to(3_500);
    await rig.end();
    assert.deepEqual(rig.times(), [0, 1_000, 2_000, 3_000]);
    assert.deepEqual(
      rig.published.map(({ report }) => report.beat),
      [1, 2, 3, 4],
    );
  });

  it('looks less and less often while nothing changes, down to once a second', async () => {
    const rig = new Rig();
    await rig.to(4_500);
    await rig.end();
    assert.deepEqual(rig.looks, [0, 100, 300, 700, 1_000, 2_000, 3_000, 4_000]);
  });

  it('looks ten times a second again after a change', async () => {
    const rig = new Rig();
    await rig.to(2_500);
    rig.total += 256;
    await rig.to(3_350);
    await rig.end();
    assert.deepEqual(rig.looks.slice(-3), [3_000, 3_100, 3_300]);
  });

  it('reports a change of a MiB at the next look, and nothing smaller', async () => {
    const rig = new Rig();
    await rig.to(50);
    rig.total += 255;
    await rig.to(250);
    assert.deepEqual(rig.times(), [0]);
    rig.total += 1;
    await rig.to(350);
    await rig.end();
    assert.deepEqual(rig.times(), [0, 300]);
  });

  it('reports an alarm at once also right behind a report that was none, and the next alarm 100 ms later', async () => {
    const rig = new Rig();
    await rig.to(3);
    rig.reporter.alarm('stalled');
    await rig.to(4);
    rig.reporter.alarm('low');
    await rig.to(150);
    await rig.end();
    assert.deepEqual(rig.times(), [0, 3, 103]);
    assert.deepEqual(
      rig.published.map(({ report }) => report.alarm?.count ?? 0),
      [0, 1, 2],
    );
  });

  it('reports ten times a second at most with alarms too, where the host reads no more often', async () => {
    const rig = new Rig({ alarmsWait: true });
    await rig.to(3);
    rig.reporter.alarm('stalled');
    for (let at = 10; at <= 5_000; at += 10) {
      rig.total += 1_000;
      await rig.to(at);
      rig.reporter.alarm('low');
    }
    await rig.end();
    const times = rig.times();
    assert.deepEqual(times.slice(0, 3), [0, 100, 200]);
    for (const from of times) {
      const within = times.filter((at) => at >= from && at < from + 1_000).length;
      assert.ok(within <= 10, `${within} within a second`);
    }
    assert.equal(rig.published[1]?.report.alarm?.cause, 'low');
  });

  it('tries as often with alarms as without when nothing gets through', async () => {
    const rig = new Rig();
    rig.isBroken = true;
    for (let at = 0; at <= 5_000; at += 10) {
      rig.reporter.alarm('low');
      await rig.to(at);
    }
    await rig.end();
    assert.ok(rig.looks.length <= 52, `${rig.looks.length} tries`);
  });

  it('reports at most ten times a second, however fast things change, and ten times more for alarms', async () => {
    for (const isAlarmed of [false, true]) {
      const rig = new Rig();
      for (let at = 0; at <= 5_000; at += 10) {
        rig.total += 1_000;
        if (isAlarmed) rig.reporter.alarm('low');
        await rig.to(at);
      }
      await rig.end();
      const times = rig.times();
      for (const from of times) {
        const within = times.filter((at) => at >= from && at < from + 1_000).length;
        assert.ok(within <= (isAlarmed ? 20 : 10), `${within} within a second`);
      }
      assert.ok(times.length >= 40);
    }
  });

  it('reports an alarm at once when the last report is long enough ago', async () => {
    const rig = new Rig();
    await rig.to(555);
    rig.reporter.alarm('stalled');
    await rig.to(556);
    await rig.end();
    assert.deepEqual(rig.times(), [0, 555]);
    assert.deepEqual(rig.published.at(-1)?.report.alarm, { count: 1, cause: 'stalled' });
  });

  it('goes on telling of the last alarm, so that none is lost between two looks of the host', async () => {
    const rig = new Rig();
    rig.reporter.alarm('low');
    rig.reporter.alarm('stalled');
    await rig.to(3_000);
    await rig.end();
    assert.deepEqual(rig.published.at(-1)?.report.alarm, { count: 2, cause: 'stalled' });
  });

  it('tries again, more and more seldom, tells once, and begins anew with the newest reading', async () => {
    const rig = new Rig();
    rig.isBroken = true;
    await rig.to(60_000);
    assert.deepEqual(rig.told, ['reports do not get through: EACCES. Trying again']);
    rig.isBroken = false;
    rig.total = 7;
    await rig.to(71_000);
    await rig.end();
    assert.equal(rig.told.at(-1), 'reports get through again');
    const total = rig.published.at(-1)?.report.fields.total;
    assert.ok(total?.known === true && total.value === 7);
  });

  it('pauses between tries also where a report got through before', async () => {
    const rig = new Rig();
    await rig.to(1_000);
    const looks = rig.looks.length;
    rig.isBroken = true;
    await rig.to(61_000);
    const tries = rig.looks.length - looks;
    await rig.end();
    assert.ok(tries > 5 && tries < 30, `${tries} tries in a minute`);
  });

  it('tries again as soon as somebody asks for, where a host may come at any time', async () => {
    const rig = new Rig({ retryMax: millis(1_000) });
    rig.isBroken = true;
    await rig.to(60_000);
    rig.isBroken = false;
    await rig.to(61_000);
    await rig.end();
    assert.ok((rig.times()[0] ?? Infinity) <= 61_000);
  });

  it('goes on trying after thousands of failures: the pause is a number also then', async () => {
    const rig = new Rig();
    rig.isBroken = true;
    await rig.to(6 * 3_600_000);
    rig.isBroken = false;
    await rig.to(6 * 3_600_000 + 10_000);
    await rig.end();
    assert.ok(rig.looks.length > 2_000);
    assert.equal(rig.told.at(-1), 'reports get through again');
  });

  it('ends when it is told to, in the middle of a rest', async () => {
    const rig = new Rig();
    await rig.to(50);
    await rig.end();
    assert.equal(rig.clock.now(), 50);
  });
});
