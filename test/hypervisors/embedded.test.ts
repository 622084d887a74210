import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GuestNotice, Hypervisor, ReadOutcome } from '../../src/control/ports.js';
import { HypervisorError, type ErrorCode } from '../../src/errors.js';
import { createEmbeddedHypervisor } from '../../src/hypervisors/embedded/embedded.js';
import { embeddedHost, LIVES, SimHost, VirtualClock } from '../../src/sim/index.js';
import { addMillis, guestSize, mib, mibToPages, millis, NO_PAGES, secondsToMillis } from '../../src/units.js';

const NEVER = new AbortController().signal;
const ABORTED = AbortSignal.abort();
const inPages = (size: number): ReturnType<typeof mibToPages> => mibToPages(mib(size));

function setUp(): { host: SimHost; clock: VirtualClock; hypervisor: Hypervisor } {
  const host = embeddedHost({ seed: 1, hostMib: 8_192 });
  const clock = new VirtualClock();
  return { host, clock, hypervisor: createEmbeddedHypervisor({ host, clock }) };
}

async function lookAt(hypervisor: Hypervisor, guests: readonly string[]): Promise<ReadOutcome[]> {
  const outcomes: ReadOutcome[] = [];
  await hypervisor.read(guests, (outcome) => outcomes.push(outcome), NEVER);
  return outcomes;
}

async function readingOf(hypervisor: Hypervisor, guest: string): Promise<Extract<ReadOutcome, { kind: 'reading' }>> {
  const [outcome] = await lookAt(hypervisor, [guest]);
  assert.equal(outcome?.kind, 'reading');
  return outcome;
}

const fails = async (call: Promise<unknown>, code: ErrorCode, guest?: string): Promise<void> => {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof HypervisorError);
    assert.equal(error.code, code);
    assert.equal(error.guest, guest);
    assert.ok(error.advice !== undefined);
    return true;
  });
};

async function nextNotice(notices: AsyncIterator<GuestNotice>): Promise<string> {
  const next = await notices.next();
  if (next.done === true) return 'ended';
  const { value } = next;
  if (value.kind === 'guest-came') return `came ${value.guest.id}`;
  return value.kind === 'guest-left' ? `left ${value.guest}` : value.kind;
}

describe('the embedded hypervisor', () => {
  it('says plainly that it is simulated', async () => {
    const { hypervisor } = setUp();
    assert.equal(hypervisor.kind, 'embedded');
    assert.equal(
      hypervisor.description,
      'a simulated host of 8192 MiB, not a real one; its guests could hold 16384 MiB together',
    );
    for await (const notice of hypervisor.watchGuests(NEVER)) {
      assert.equal(notice.kind, 'guest-came');
      const { id, name, capabilities } = notice.guest;
      assert.equal(id, `embedded/${name}`);
      assert.deepEqual(capabilities, { canSetTarget: true, hasOverflowTier: true, isSimulated: true });
      break;
    }
  });

  it('reports every signal of a guest’s own kernel, true at the time of the look', async () => {
    const { hypervisor, clock } = setUp();
    await clock.advanceTo(millis(7_500));
    const { reading } = await readingOf(hypervisor, 'embedded/web');
    const { at, refusal, growth, ...signals } = reading;
    assert.deepEqual([at, refusal, growth], [7_500, undefined, undefined]);
    assert.equal(Object.keys(signals).length, 18);
    for (const [name, signal] of Object.entries(signals)) {
      // What a host's administrator asked for, and Qubes' one number, are for real hypervisors.
      if (name === 'asked' || name === 'used') continue;
      assert.ok(signal.known, name);
      assert.equal(signal.at, 7_500);
    }
  });

  it('moves the world on to the clock’s time', async () => {
    const { hypervisor, clock, host } = setUp();
    await clock.advanceTo(millis(60_000));
    assert.equal(host.now, 0);
    await lookAt(hypervisor, []);
    assert.equal(host.now, 60_000);
  });

  it('asks the guest’s balloon for a size, and a later reading says what was reached', async () => {
    const { hypervisor, clock } = setUp();
    const target = guestSize(inPages(300));
    await hypervisor.setTarget('embedded/idle', target, NEVER);
    const { reading: before } = await readingOf(hypervisor, 'embedded/idle');
    assert.ok(before.current.known && before.current.value > target);
    await clock.advanceTo(millis(2_000));
    const { reading: after } = await readingOf(hypervisor, 'embedded/idle');
    assert.ok(after.current.known);
    assert.equal(after.current.value, target);
  });

  it('starts to move a guest from the time at which it was asked', async () => {
    const { hypervisor, clock, host } = setUp();
    await clock.advanceTo(millis(100_000));
    await hypervisor.setTarget('embedded/idle', guestSize(inPages(300)), NEVER);
    assert.equal(host.now, 100_000);
    assert.ok((host.guest('idle')?.kernel.balloon.currentPages ?? 0) > inPages(300));
  });

  it('shrinks a guest’s frontswap, and says what was done', async () => {
    const host = new SimHost({ seed: 1, totalPages: inPages(4_096) });
    const clock = new VirtualClock();
    const hypervisor = createEmbeddedHypervisor({ host, clock });
    host.addGuest({
      name: 'one',
      bootPages: inPages(1_024),
      maximumPages: inPages(1_024),
      workload: LIVES.database,
    });
    await hypervisor.setTarget('embedded/one', guestSize(inPages(300)), NEVER);
    await clock.advanceTo(millis(60_000));
    const { reading } = await readingOf(hypervisor, 'embedded/one');
    assert.ok(reading.overflowUsed.known && reading.overflowUsed.value > 0);
    const told = await hypervisor.shrinkOverflow('embedded/one', NO_PAGES, NEVER);
    assert.match(told, /^brought \d+ pages home from frontswap, [1-9]\d* are left, for want of free memory$/);
    await hypervisor.setTarget('embedded/one', guestSize(inPages(1_024)), NEVER);
    await clock.advanceTo(addMillis(clock.now(), secondsToMillis(10)));
    assert.match(
      await hypervisor.shrinkOverflow('embedded/one', NO_PAGES, NEVER),
      /^brought \d+ pages home from frontswap, 0 are left$/,
    );
  });

  it('does not let an unknown guest stop the others', async () => {
    const { hypervisor } = setUp();
    const [first, second] = await lookAt(hypervisor, ['embedded/nobody', 'embedded/idle']);
    assert.equal(first?.kind, 'reading-failed');
    assert.ok(first.error instanceof HypervisorError);
    assert.equal(first.error.code, 'EGONE');
    assert.equal(second?.kind, 'reading');
  });

  it('says that a guest is gone', async () => {
    const { hypervisor, host } = setUp();
    host.removeGuest('idle');
    const target = guestSize(inPages(300));
    await fails(hypervisor.setTarget('embedded/idle', target, NEVER), 'EGONE', 'embedded/idle');
    await fails(hypervisor.shrinkOverflow('embedded/idle', NO_PAGES, NEVER), 'EGONE', 'embedded/idle');
    await fails(hypervisor.setTarget('idle', target, NEVER), 'EGONE', 'idle');
  });

  it('does nothing under a signal that is aborted already', async () => {
    const { hypervisor, host } = setUp();
    const target = guestSize(inPages(300));
    await fails(hypervisor.setTarget('embedded/idle', target, ABORTED), 'ETIMEDOUT', 'embedded/idle');
    await fails(hypervisor.shrinkOverflow('embedded/idle', NO_PAGES, ABORTED), 'ETIMEDOUT', 'embedded/idle');
    await fails(
      hypervisor.read(['embedded/idle'], () => assert.fail('reported'), ABORTED),
      'ETIMEDOUT',
    );
    host.advanceTo(millis(10_000));
    assert.ok((host.guest('idle')?.kernel.balloon.currentPages ?? 0) > target);
  });

  it('passes a bug of the simulation on as its own error', async () => {
    const { hypervisor, host, clock } = setUp();
    host.addGuest({
      name: 'broken',
      bootPages: inPages(512),
      maximumPages: inPages(512),
      workload: () => ({
        life: 'broken',
        tasks: 1,
        demandAt: () => {
          throw new Error('no demand today');
        },
        restart: () => undefined,
      }),
    });
    await clock.advanceTo(millis(5_000));
    await fails(
      hypervisor.read([], () => undefined, NEVER),
      'EIO',
    );
  });

  it('refuses everything once it was closed, and leaves the guests as they are', async () => {
    const { hypervisor, host } = setUp();
    const notices = hypervisor.watchGuests(NEVER)[Symbol.asyncIterator]();
    for (let count = 0; count < 8; count += 1) await nextNotice(notices);
    const last = nextNotice(notices);
    await hypervisor.close();
    await hypervisor.close();
    assert.equal(await last, 'ended');
    await fails(
      hypervisor.read([], () => undefined, NEVER),
      'EUNAVAILABLE',
    );
    assert.equal([...host.guests()].length, 8);
  });
});

describe('watching the embedded hypervisor’s guests', () => {
  it('tells of those that are there, then of those that come and go, until it is ended', async () => {
    const { hypervisor, host } = setUp();
    const ending = new AbortController();
    const notices = hypervisor.watchGuests(ending.signal)[Symbol.asyncIterator]();
    const first = [];
    for (let count = 0; count < 8; count += 1) first.push(await nextNotice(notices));
    assert.deepEqual(
      first,
      Array.from(host.guests(), ({ name }) => `came embedded/${name}`),
    );
    const next = nextNotice(notices);
    host.removeGuest('jvm');
    assert.equal(await next, 'left embedded/jvm');
    host.addGuest({ name: 'new', bootPages: inPages(512), maximumPages: inPages(512), workload: LIVES.idle });
    assert.equal(await nextNotice(notices), 'came embedded/new');
    const last = nextNotice(notices);
    ending.abort();
    assert.equal(await last, 'ended');
  });

  it('tells a slow listener of the difference only', async () => {
    const { hypervisor, host } = setUp();
    const notices = hypervisor.watchGuests(NEVER)[Symbol.asyncIterator]();
    for (let count = 0; count < 8; count += 1) await nextNotice(notices);
    const next = nextNotice(notices);
    const idle = { name: 'idle', bootPages: inPages(512), maximumPages: inPages(1_024), workload: LIVES.idle };
    host.removeGuest('idle');
    host.addGuest(idle);
    for (let count = 0; count < 1_000; count += 1) {
      host.addGuest({ ...idle, name: 'brief' });
      host.removeGuest('brief');
    }
    assert.deepEqual([await next, await nextNotice(notices)], ['left embedded/idle', 'came embedded/idle']);
    await hypervisor.close();
    assert.equal(await nextNotice(notices), 'ended');
  });

  it('says which guests have no overflow tier', async () => {
    const { hypervisor, host } = setUp();
    host.removeGuest('jvm');
    const options = { bootPages: inPages(512), maximumPages: inPages(512), workload: LIVES.idle };
    host.addGuest({ ...options, name: 'bare', hasTmem: false });
    for await (const notice of hypervisor.watchGuests(NEVER)) {
      if (notice.kind !== 'guest-came' || notice.guest.name !== 'bare') continue;
      assert.equal(notice.guest.capabilities.hasOverflowTier, false);
      break;
    }
  });
});
