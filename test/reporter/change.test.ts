/** Protects what is worth a report: a MiB, a percent, a killed process, something that is known or not any more; no less. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NOTHING_KNOWN, type Signals } from '../../src/control/reading.js';
import { knownAt, unknown } from '../../src/control/signal.js';
import { hasChanged } from '../../src/reporter/change.js';
import { millis, pages } from '../../src/units.js';

const AT = millis(1_000);
const LATER = millis(2_000);
const size = (count: number, at = AT) => knownAt(pages(count), at);
const pressure = (somePercent: number, fullPercent: number) => knownAt({ somePercent, fullPercent }, AT);

const BEFORE: Signals = {
  ...NOTHING_KNOWN,
  total: size(100_000),
  available: size(50_000),
  oomKills: knownAt(0, AT),
  pressure: pressure(10, 0),
};

const changed = (after: Partial<Signals>, before: Partial<Signals> = {}): boolean =>
  hasChanged({ ...BEFORE, ...before }, { ...BEFORE, ...after });

describe('a change worth a report', () => {
  it('is a size that moved by a MiB, up or down', () => {
    for (const moved of [-256, 256, 5_000]) assert.equal(changed({ available: size(50_000 + moved) }), true);
    for (const moved of [-255, 0, 255]) assert.equal(changed({ available: size(50_000 + moved) }), false);
  });

  it('may be in any size that is reported', () => {
    const names = ['current', 'total', 'free', 'available', 'cached', 'committed', 'reserve', 'maxPfn'] as const;
    for (const name of [...names, 'swapTotal', 'swapUsed'] as const) {
      assert.equal(changed({ [name]: size(1_256) }, { [name]: size(1_000) }), true, name);
    }
  });

  it('is something that is known now, or not any more', () => {
    assert.equal(changed({ committed: size(0) }), true);
    assert.equal(changed({ total: unknown('unreadable', 'gone') }), true);
    assert.equal(changed({ pressure: unknown('unreadable', 'gone') }), true);
    assert.equal(changed({ free: unknown('stale', 'a') }, { free: unknown('malformed', 'b') }), false);
  });

  it('is pressure that moved by a percent, of either kind', () => {
    assert.equal(changed({ pressure: pressure(11, 0) }), true);
    assert.equal(changed({ pressure: pressure(10, 1) }), true);
    assert.equal(changed({ pressure: pressure(9.01, 0.99) }), false);
  });

  it('is every process that was killed for want of memory', () => {
    assert.equal(changed({ oomKills: knownAt(1, AT) }), true);
    assert.equal(changed({ oomKills: knownAt(0, LATER) }), false);
  });

  it('is not that time has passed, nor a fault more', () => {
    assert.equal(changed({ total: size(100_000, LATER), majorFaults: knownAt(9, LATER) }), false);
  });
});
