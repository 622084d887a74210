/**
 * Protects guests whose devices have blocks of different sizes: what is plugged in may be no multiple of the largest of them, and to leave
 * it as it is must not mean more.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BLOCK, sharedGuest, SharedHost } from '../support/shared-host.js';

const BOOT = 200_000;
const ODD = 64 * BLOCK + 6;
const tunables = { selfballoon_interval: 1 };

describe('a guest that has plugged in what is no multiple of its largest block', () => {
  it('is not given more by being told to stay where it is, each time that it does not give it up', () => {
    const guest = sharedGuest({
      ...{ held: BOOT, maximum: BOOT, pluggable: 400 * BLOCK, committed: 20_000 },
      ...{ plugged: ODD, plugging: 'keeps' as const },
    });
    const host = new SharedHost({ total: 800_000, guests: { guest }, tunables });
    host.liveUntil(4_000);
    assert.ok(host.growths.length > 6, 'it was asked to give it up');
    assert.deepEqual([guest.plugged, guest.plugTarget], [ODD, ODD]);
    assert.ok(host.growths.every(({ plugged }) => plugged <= ODD));
    const asked = host.growths.length;
    host.liveUntil(8_000);
    assert.equal(host.growths.length, asked);
  });

  it('gets just that back in the end', () => {
    const guest = sharedGuest({
      ...{ held: BOOT, maximum: BOOT, pluggable: 400 * BLOCK, committed: 20_000, plugged: ODD },
    });
    const host = new SharedHost({ total: 800_000, guests: { guest }, tunables });
    host.liveUntil(300);
    assert.equal(guest.plugged, 0);
    host.tell({ kind: 'release', id: 1 });
    host.liveUntil(320);
    assert.deepEqual([guest.held, guest.plugged], [BOOT, ODD]);
  });
});
