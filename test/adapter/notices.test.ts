/** Protects the queue of notices: whoever tells a thousand times of one thing fills it with one, and nothing else is forgotten for it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NoticeQueue } from '../../src/adapter/notices.js';
import type { GuestNotice } from '../../src/control/ports.js';
import { millis } from '../../src/units.js';

/** What waits, in short. */
async function waiting(queue: NoticeQueue): Promise<readonly string[]> {
  const end = new AbortController();
  const taken: string[] = [];
  queue.put({ kind: 'guest-left', guest: 'end' });
  for await (const notice of queue.take(end.signal)) {
    const { kind, guest } = notice;
    if (guest === 'end') break;
    taken.push(`${kind} ${typeof guest === 'string' ? guest : guest.id}`);
  }
  return taken;
}

describe('notices that wait', () => {
  it('are of one guest and kind one only, where a guest or its hypervisor can cause them at will', async () => {
    const queue = new NoticeQueue();
    const alarm = { cause: 'low', at: millis(0), availablePages: null, totalPages: null } as const;
    const told: readonly GuestNotice[] = [
      { kind: 'guest-moved', guest: 'a' },
      { kind: 'guest-alarm', guest: 'a', alarm },
    ];
    for (let n = 0; n < 1_000; n += 1) for (const notice of told) queue.put(notice);
    queue.put({ kind: 'guest-moved', guest: 'b' });
    assert.deepEqual(await waiting(queue), ['guest-moved a', 'guest-alarm a', 'guest-moved b']);
  });

  it('are all kept where they say who is there', async () => {
    const queue = new NoticeQueue();
    for (let n = 0; n < 3; n += 1) queue.put({ kind: 'guest-left', guest: 'a' });
    assert.equal((await waiting(queue)).length, 3);
  });
});
