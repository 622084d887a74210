/** Protects a host from looks that pile up, and readings from being taken for younger than they are. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SharedLook } from '../../src/waiting/shared-look.js';
import { millis } from '../../src/units.js';

const NEVER = new AbortController().signal;

function rig() {
  let now = 0;
  const ends: ((sight: string) => void)[] = [];
  const looks = new SharedLook<string>({
    look: () => new Promise((resolve) => ends.push(resolve)),
    now: () => millis(now),
    tooSlow: () => new Error('too slow'),
  });
  const pass = (length: number): void => void (now += length);
  return { looks, ends, pass };
}

describe('a look that is shared', () => {
  it('is begun once for all who ask meanwhile, and is as old as its beginning', async () => {
    const { looks, ends, pass } = rig();
    const first = looks.look(NEVER);
    pass(100);
    const second = looks.look(NEVER);
    ends[0]?.('seen');
    assert.equal(ends.length, 1);
    assert.deepEqual(await Promise.all([first, second]), Array(2).fill({ at: 0, sight: 'seen' }));
  });

  it('is begun anew for whoever asks after its end', async () => {
    const { looks, ends, pass } = rig();
    const first = looks.look(NEVER);
    ends[0]?.('old');
    await first;
    pass(100);
    const second = looks.look(NEVER);
    ends[1]?.('new');
    assert.deepEqual(await second, { at: 100, sight: 'new' });
  });

  it('that hangs is given up by whoever waits no longer, and not begun again beside itself', async () => {
    const { looks, ends } = rig();
    const limit = new AbortController();
    const first = looks.look(limit.signal);
    limit.abort();
    await assert.rejects(first, /too slow/);
    await assert.rejects(looks.look(AbortSignal.abort()), /too slow/);
    const third = looks.look(NEVER);
    ends[0]?.('late');
    assert.equal((await third).sight, 'late');
    assert.equal(ends.length, 1);
  });
});
