import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { NOTHING_KNOWN, type Signals } from '../../src/control/reading.js';
import type { Signal } from '../../src/control/signal.js';
import { ZONEINFO_AGE_MS_MAX, openGuestReader } from '../../src/signals/guest-reader.js';
import { millis } from '../../src/units.js';
import { fixtureRoot, procText, temporaryFolder, writeRoot } from './proc-roots.js';

/** A clock that moves only when told. */
function clock(): { at: number; now: () => ReturnType<typeof millis> } {
  const self = { at: 1000, now: () => millis(self.at) };
  return self;
}

/** Every signal as its value, or as its reason. */
function shown(signals: Signals): Readonly<Record<string, unknown>> {
  const entries: readonly (readonly [string, Signal<unknown>])[] = Object.entries({ ...signals });
  return Object.fromEntries(entries.map(([name, signal]) => [name, signal.known ? signal.value : signal.reason]));
}

describe('the guest reader', () => {
  it('reads all that a machine says', (test) => {
    const { now } = clock();
    const reader = openGuestReader({ root: fixtureRoot(test, 'numa-two-nodes'), now });
    assert.deepEqual(shown(reader.read()), {
      current: 'not-reported',
      asked: 'not-reported',
      maximum: 'not-reported',
      total: 16_395_977,
      free: 10_000_000,
      available: 13_000_000,
      cached: 2_750_000,
      committed: 5_250_000,
      reserve: 189_777,
      maxPfn: 17_039_360,
      used: 'not-reported',
      swapTotal: 2_097_151,
      swapUsed: 97_151,
      overflowUsed: 'not-reported',
      refaults: 91_022,
      majorFaults: 5150,
      oomKills: 2,
      pressure: { somePercent: 1.53, fullPercent: 1.1 },
    });
    reader.close();
  });

  it('leaves unknown what an old kernel does not have', (test) => {
    const reader = openGuestReader({ root: fixtureRoot(test, 'linux-3.10'), now: clock().now });
    const { available, refaults, oomKills, pressure, reserve, total } = shown(reader.read());
    assert.deepEqual([available, refaults, oomKills, pressure], Array(4).fill('not-reported'));
    assert.deepEqual([reserve, total], [17_741, 1_011_336]);
    reader.close();
  });

  it('knows nothing where there is no /proc', (test) => {
    const root = temporaryFolder(test);
    const reader = openGuestReader({ root, now: clock().now });
    assert.deepEqual(shown(reader.read()), shown(NOTHING_KNOWN));
    reader.close();
  });

  it('one file’s nonsense does not spoil the others', (test) => {
    const root = writeRoot(test, {
      'proc/meminfo': procText('linux-6.18', 'meminfo'),
      'proc/zoneinfo': 'nonsense\n',
      'proc/vmstat': procText('linux-6.18', 'vmstat').slice(0, 300),
    });
    const reader = openGuestReader({ root, now: clock().now });
    const { total, reserve, maxPfn, majorFaults, pressure } = shown(reader.read());
    assert.deepEqual(
      { total, reserve, maxPfn, majorFaults, pressure },
      {
        total: 6_171_021,
        reserve: 'malformed',
        maxPfn: 'malformed',
        majorFaults: 'malformed',
        pressure: 'not-reported',
      },
    );
    reader.close();
  });

  it('reads zoneinfo again only when it is old, and keeps its real time', (test) => {
    const root = writeRoot(test, {
      'proc/meminfo': procText('xen-guest-256-mib', 'meminfo'),
      'proc/zoneinfo': procText('xen-guest-256-mib', 'zoneinfo'),
    });
    const time = clock();
    const reader = openGuestReader({ root, now: time.now });
    assert.deepEqual(reader.read().reserve, { known: true, value: 2232, at: 1000 });
    writeFileSync(join(root, 'proc/zoneinfo'), procText('linux-3.10', 'zoneinfo'));
    time.at += ZONEINFO_AGE_MS_MAX - 1;
    const early = reader.read();
    assert.deepEqual(early.reserve, { known: true, value: 2232, at: 1000 });
    assert.equal(early.total.known && early.total.at, 2999);
    time.at += 1;
    assert.deepEqual(reader.read().reserve, { known: true, value: 17_741, at: 3000 });
    reader.close();
  });

  it('reads zoneinfo again at once when MemTotal has changed, or the clock went back', (test) => {
    const root = writeRoot(test, {
      'proc/meminfo': procText('xen-guest-256-mib', 'meminfo'),
      'proc/zoneinfo': procText('xen-guest-256-mib', 'zoneinfo'),
    });
    const time = clock();
    const reader = openGuestReader({ root, now: time.now });
    reader.read();
    time.at += 1;
    writeFileSync(join(root, 'proc/meminfo'), procText('xen-guest-256-mib', 'meminfo').replace('233600', '200000'));
    assert.equal(reader.read().reserve.known, true);
    const { reserve } = reader.read();
    assert.equal(reserve.known && reserve.at, 1001);
    time.at -= 500;
    const { maxPfn } = reader.read();
    assert.equal(maxPfn.known && maxPfn.at, 501);
    reader.close();
  });

  it('does not believe a zoneinfo that lacks a node', (test) => {
    const zones = procText('numa-two-nodes', 'zoneinfo');
    const root = writeRoot(test, {
      'proc/meminfo': procText('numa-two-nodes', 'meminfo'),
      'proc/zoneinfo': zones.slice(0, zones.indexOf('Node 1')),
    });
    const reader = openGuestReader({ root, now: clock().now });
    assert.equal(shown(reader.read())['reserve'], 'implausible');
    reader.close();
  });

  it('forgets what was known of a file that is gone', (test) => {
    const root = writeRoot(test, { 'proc/meminfo': procText('linux-6.18', 'meminfo') });
    const reader = openGuestReader({ root, now: clock().now });
    assert.equal(reader.read().total.known, true);
    rmSync(join(root, 'proc/meminfo'));
    assert.equal(shown(reader.read())['total'], 'not-reported');
    reader.close();
    assert.equal(shown(reader.read())['free'], 'unreadable');
  });

  it('reads this machine, a thousand times with the same descriptors', () => {
    const time = clock();
    const before = readdirSync('/proc/self/fd').length;
    const reader = openGuestReader({ root: '/', now: time.now });
    const { total, free, committed, reserve, maxPfn } = reader.read();
    for (const signal of [total, free, committed, reserve, maxPfn]) assert.ok(signal.known && signal.value > 0);
    assert.ok(reserve.known && maxPfn.known && reserve.value < maxPfn.value);
    const open = readdirSync('/proc/self/fd').length;
    for (let round = 0; round < 1000; round += 1) {
      time.at += 1000;
      assert.ok(reader.read().total.known);
    }
    assert.equal(readdirSync('/proc/self/fd').length, open);
    reader.close();
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });
});
