/** Protects from asking for what a guest cannot have any more, as when a DIMM was taken out of it, and from owing it that for ever. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isOwed } from '../../src/control/guest-give-back.js';
import { knownAt } from '../../src/control/signal.js';
import { pages } from '../../src/units.js';
import { BLOCK, sharedGuest, SharedHost, type SharedGuest, type SharedHostOptions } from '../support/shared-host.js';

describe('a guest that can have less than before', () => {
  const FORMER = 200_000;
  const NOW = 150_000;

  function shrunk(more: Partial<SharedGuest> = {}, options: Partial<SharedHostOptions> = {}): SharedHost {
    const host = new SharedHost({
      total: 900_000,
      guests: { one: sharedGuest({ maximum: FORMER, ...more }) },
      ...options,
    });
    host.liveUntil(200);
    return host;
  }

  it('is asked at an alarm and a release for what it can have now, and is owed no more', () => {
    for (const isAlarm of [true, false]) {
      const host = shrunk();
      host.guest('one').maximum = NOW;
      host.liveUntil(220);
      if (isAlarm) host.alarm('one');
      else host.tell({ kind: 'release', id: 1 });
      host.liveUntil(225);
      assert.equal(host.targets.at(-1)?.target, NOW);
      assert.equal(isOwed(host.state.guests.get('one') ?? assert.fail()), false);
    }
  });

  it('does not keep what was plugged in for what is gone, and have more each round, where its memory is kept', () => {
    const host = shrunk({ held: FORMER, keepsMemory: true, pluggable: 400 * BLOCK });
    Object.assign(host.guest('one'), { maximum: NOW, held: NOW, target: NOW });
    host.liveUntil(400);
    assert.deepEqual([host.guest('one').held, host.guest('one').plugged], [NOW, 0]);
  });

  it('is not believed to by one look that finds less', () => {
    let isMistaken = false;
    const sight: SharedHostOptions['sight'] = (reading) =>
      isMistaken ? { ...reading, maximum: knownAt(pages(NOW), reading.at) } : reading;
    const host = shrunk({}, { sight });
    isMistaken = true;
    const looks = host.looks.get('one') ?? 0;
    while ((host.looks.get('one') ?? 0) === looks) host.liveUntil(host.seconds + 1);
    host.alarm('one');
    assert.equal(host.targets.at(-1)?.target, FORMER);
  });
});
