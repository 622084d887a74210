/** Protects what a failed test of the labs leaves behind: what its daemon saw, decided and asked for last, in that order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BLOCK, sharedGuest, SharedHost } from '../support/shared-host.js';
import { lastSteps } from './qemu/last-steps.js';

describe('the end of a journal', () => {
  it('tells what was seen, decided and asked for, and no more than its last lines', () => {
    const lines: string[] = [];
    const guest = sharedGuest({ held: 200_000, maximum: 200_000, pluggable: 400 * BLOCK, committed: 300_000 });
    const host = new SharedHost({
      total: 800_000,
      guests: { guest },
      record: (record) => lines.push(JSON.stringify(record)),
    });
    host.liveUntil(5);
    const told = lastSteps([...lines, '{"kind":"st'].join('\n'));
    assert.match(
      told[0] ?? '',
      /^0\.00 guest holds 781, total 770, committed 1172, available not-reported, plugged 0, asked 0/,
    );
    assert.match(told[2] ?? '', /^5\.00 guest below-goal: goal \d+, target \d+$/);
    assert.match(told[4] ?? '', /^5\.00 guest asked to have \d+ plugged in$/);
    host.liveUntil(300);
    assert.equal(lastSteps(lines.join('\n')).length, 60);
  });

  it('is nothing where nothing was written', () => {
    assert.deepEqual(lastSteps(''), []);
  });
});
