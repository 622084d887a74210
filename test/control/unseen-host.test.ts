/**
 * Protects the person who wonders why no guest of a host grows: that nobody knows what the host has free is said, once when it begins
 * and once when it is over, and not for what is one guest's trouble alone.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { knownAt, unknown } from '../../src/control/signal.js';
import { afterFailedLook, afterHostReading, type UnseenHosts } from '../../src/control/unseen-host.js';
import { millis, pages } from '../../src/units.js';
import { sharedGuest, SharedHost } from '../support/shared-host.js';

const HUNGRY = { held: 50_000, target: 50_000, committed: 150_000 };
const hostOf = (given: Parameters<typeof sharedGuest>[0] = HUNGRY): SharedHost =>
  new SharedHost({ total: 500_000, guests: { one: sharedGuest(given), two: sharedGuest(given) } });

describe('a host whose looks take too long', () => {
  it('is told of once with what was seen, what follows and what to do, and once when they do not any more', () => {
    const host = hostOf();
    host.lookMs = 2_300;
    host.liveUntil(120);
    assert.deepEqual(host.toldOfHost, [
      '5 s host: what the host has free is not known (stale: true 2300 ms ago, at most 1500 ms are allowed). ' +
        'No guest gets more memory until it is. Be quick',
    ]);
    assert.equal(host.guest('one').held, 50_000);
    host.lookMs = 1_400;
    host.liveUntil(200);
    assert.equal(host.toldOfHost.length, 2);
    assert.match(host.toldOfHost[1] ?? '', /^1[45]\d s host: what the host has free is known again.* for 1[12]\d s$/);
    assert.ok(host.guest('one').held > 140_000);
  });

  it('is one trouble while only some of them do', () => {
    const host = hostOf();
    for (let second = 1; second <= 300; second += 1) {
      host.lookMs = second % 3 === 0 ? 1_600 : 100;
      host.liveUntil(second);
    }
    assert.equal(host.toldOfHost.length, 1);
  });

  it('is not told of where they take no longer than what they bring may be old', () => {
    const host = hostOf();
    host.lookMs = 1_500;
    host.liveUntil(60);
    assert.deepEqual(host.toldOfHost, []);
  });
});

describe('a host that cannot be looked at', () => {
  it('is told of once, with its age, beside its guests; and again when it can be', () => {
    const host = hostOf({});
    host.liveUntil(20);
    host.isReadable = false;
    host.liveUntil(120);
    assert.equal(host.toldOfHost.length, 1);
    assert.match(
      host.toldOfHost[0] ?? '',
      /last seen \d+ s ago, and could not be looked at\. No guest gets more memory until it is\. The look failed: the look took/,
    );
    host.isReadable = true;
    host.liveUntil(200);
    assert.equal(host.toldOfHost.length, 2);
  });
});

describe('a look that failed', () => {
  const NOBODY: UnseenHosts = {};
  const at = millis(100_000);
  const host = { pool: 'h', at, total: knownAt(pages(9), at), free: knownAt(pages(5), at), reserve: pages(0) };
  const failed = { pool: 'h', host, message: 'no answer' };

  it('at one guest of a host that was seen meanwhile is the guest’s trouble alone', () => {
    assert.deepEqual(afterFailedLook(NOBODY, failed, millis(106_000)), { hosts: NOBODY, tell: null });
    assert.notEqual(afterFailedLook(NOBODY, failed, millis(106_001)).tell, null);
  });

  it('at a host that was never seen is told of at once', () => {
    const { tell } = afterFailedLook(NOBODY, { ...failed, host: undefined }, millis(1_000));
    assert.match(tell?.text ?? '', /^h: what the host has free is not known: it was never seen/);
  });

  it('is told of for each host by itself, whatever its name', () => {
    const one = afterFailedLook(NOBODY, failed, millis(200_000)).hosts;
    const other = afterFailedLook(one, { ...failed, pool: 'constructor' }, millis(201_000));
    assert.match(other.tell?.text ?? '', /^constructor: /);
    const calm = afterHostReading(other.hosts, host, millis(230_000));
    assert.match(calm.tell?.text ?? '', /^h: .*known again/);
    assert.deepEqual(Object.keys(calm.hosts), ['constructor']);
  });

  it('is over only when what the host has free is known for a while', () => {
    const { hosts } = afterFailedLook(NOBODY, failed, millis(200_000));
    const blind = { ...host, free: unknown('implausible', 'more than it has') };
    assert.equal(afterHostReading(hosts, blind, millis(240_000)).tell, null);
    assert.equal(afterHostReading(hosts, host, millis(229_999)).tell, null);
    assert.equal(afterHostReading(hosts, host, millis(230_000)).tell?.code, 'host-seen-again');
  });
});
