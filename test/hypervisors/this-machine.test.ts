import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { GuestNotice, ReadOutcome } from '../../src/control/ports.js';
import { HypervisorError } from '../../src/errors.js';
import { openThisMachine } from '../../src/hypervisors/this-machine/this-machine.js';
import { guestSize, millis, pages } from '../../src/units.js';
import { procText, temporaryFolder, writeRoot } from '../signals/proc-roots.js';

const now = (): ReturnType<typeof millis> => millis(5000);
const GUEST = 'this-machine/build-07';
const never = (): AbortSignal => new AbortController().signal;

const rootOf = (test: Parameters<typeof writeRoot>[0]): string =>
  writeRoot(test, {
    'proc/sys/kernel/hostname': 'build-07\n',
    'proc/meminfo': procText('xen-guest-256-mib', 'meminfo'),
    'proc/zoneinfo': procText('xen-guest-256-mib', 'zoneinfo'),
  });

const withCode =
  (code: string, guest: string) =>
  (error: unknown): boolean =>
    error instanceof HypervisorError && error.code === code && error.guest === guest;

describe('this machine, only watched', () => {
  it('is one guest with the host’s name and no abilities', async (test) => {
    const port = openThisMachine({ root: rootOf(test), now });
    const stop = new AbortController();
    const notices: GuestNotice[] = [];
    for await (const notice of port.watchGuests(stop.signal)) {
      notices.push(notice);
      stop.abort();
    }
    const capabilities = { canSetTarget: false, hasOverflowTier: false, isSimulated: false };
    assert.deepEqual(notices, [{ kind: 'guest-came', guest: { id: GUEST, name: 'build-07', capabilities } }]);
    assert.equal(port.kind, 'this-machine');
    await port.close();
  });

  it('has a name that breaks no log line and no table, whatever the host is called', async (test) => {
    const root = writeRoot(test, { 'proc/sys/kernel/hostname': 'evil\u001b[31m/../\nroot\n' });
    const port = openThisMachine({ root, now });
    for await (const notice of port.watchGuests(never())) {
      assert.ok(notice.kind === 'guest-came');
      assert.equal(notice.guest.name, 'evil__31m_..__root');
      assert.equal(notice.guest.id, 'this-machine/evil__31m_..__root');
      await port.close();
    }
  });

  it('ends the watch when it is closed, and has none after an abort', async (test) => {
    const port = openThisMachine({ root: rootOf(test), now });
    const guests = port.watchGuests(never())[Symbol.asyncIterator]();
    await guests.next();
    const next = guests.next();
    await port.close();
    assert.equal((await next).done, true);
    const late = openThisMachine({ root: rootOf(test), now });
    const none = late.watchGuests(AbortSignal.abort())[Symbol.asyncIterator]();
    assert.equal((await none.next()).done, true);
    await late.close();
  });

  it('holds what its kernel manages, and could hold no more', async (test) => {
    const port = openThisMachine({ root: rootOf(test), now });
    const outcomes: ReadOutcome[] = [];
    await port.read([GUEST, 'this-machine/other'], (outcome) => outcomes.push(outcome), never());
    const [found, other] = outcomes;
    assert.ok(found?.kind === 'reading' && found.guest === GUEST);
    const total = { known: true, value: 58_400, at: 5000 };
    const { current, maximum, total: seen, reserve, overflowUsed, at } = found.reading;
    assert.deepEqual([current, maximum, seen, at], [total, total, total, 5000]);
    assert.equal(reserve.known && reserve.value, 2232);
    assert.equal(overflowUsed.known, false);
    assert.ok(other?.kind === 'reading-failed' && withCode('EGONE', 'this-machine/other')(other.error));
    await port.close();
  });

  it('refuses to act, and says what would', async (test) => {
    const port = openThisMachine({ root: rootOf(test), now });
    const target = port.setTarget(GUEST, guestSize(pages(1)), never());
    await assert.rejects(target, withCode('EPERM', GUEST));
    await assert.rejects(port.shrinkOverflow(GUEST, pages(1), never()), withCode('EPERM', GUEST));
    await assert.rejects(port.shrinkOverflow(GUEST, pages(1), never()), /only watched.*--hypervisor/);
    await assert.rejects(port.setTarget('x/y', guestSize(pages(1)), never()), withCode('EGONE', 'x/y'));
    await port.close();
  });

  it('does not read after its time limit or after close', async (test) => {
    const port = openThisMachine({ root: rootOf(test), now });
    const read = (signal: AbortSignal): Promise<void> => port.read([GUEST], () => assert.fail('reported'), signal);
    await assert.rejects(read(AbortSignal.abort()), withCode('ETIMEDOUT', GUEST));
    await port.close();
    await assert.rejects(read(never()), withCode('EIO', GUEST));
  });

  it('has a name even where the kernel tells none, and then knows nothing', async (test) => {
    const port = openThisMachine({ root: temporaryFolder(test), now });
    const outcomes: ReadOutcome[] = [];
    await port.read(['this-machine/localhost'], (outcome) => outcomes.push(outcome), never());
    const [found] = outcomes;
    assert.ok(found?.kind === 'reading' && !found.reading.current.known);
    await port.close();
  });

  it('leaves no descriptor open', async () => {
    const before = readdirSync('/proc/self/fd').length;
    await openThisMachine({ now }).close();
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });
});
