/**
 * What the port `Hypervisor` promises, as one suite for every adapter. An adapter that cannot keep a promise says why, in words;
 * the reason is printed with the test that is left out.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestNotice, Hypervisor, ReadOutcome } from '../../src/control/ports.js';
import { isPageCount } from '../../src/control/believe.js';
import type { GuestId, Reading } from '../../src/control/reading.js';
import { HypervisorError, type ErrorCode } from '../../src/errors.js';
import { guestSize, NO_PAGES, pages, type Millis } from '../../src/units.js';

/** One adapter, opened for one test, and what the test must know of the world behind it. */
export interface Subject {
  readonly hypervisor: Hypervisor;
  /** A guest that is there, and can hold both sizes. */
  readonly guest: GuestId;
  readonly sizes: readonly [number, number];
  readonly now: () => Millis;
  /** The size in pages that the guest was last told to have, as seen from its side; null = none yet. */
  readonly told: () => number | null;
  /** A guest that can be given more than its boot memory; left out where there is none. */
  readonly growing?: {
    readonly guest: GuestId;
    /** What it was last told to have plugged in, in pages, as seen from its side. */
    readonly told: () => number;
  };
  /** Lets everything that was asked for come about. */
  readonly settle: () => Promise<void>;
}

export interface ContractOptions {
  /** Opens an adapter whose world is thrown away after the test. */
  readonly open: (test: TestContext) => Promise<Subject>;
  /** Promises that this adapter does not keep, and why. */
  readonly skip: readonly { readonly reason: string; readonly tests: readonly string[] }[];
}

const NEVER = new AbortController().signal;
/** What takes longer than this on any machine hangs. Nothing is said about speed by it. */
const HANGS_AFTER_MS = 60_000;

/** Waits for `call`, but not for ever. */
async function inTime<T>(call: Promise<T>): Promise<T> {
  const waiting = new AbortController();
  const hangs = sleep(HANGS_AFTER_MS, undefined, { signal: waiting.signal }).then(() => assert.fail('it hangs'));
  hangs.catch(() => undefined);
  try {
    return await Promise.race([call, hangs]);
  } finally {
    waiting.abort();
  }
}

async function fails(call: Promise<unknown>, codes: readonly ErrorCode[], guest?: GuestId): Promise<void> {
  await assert.rejects(inTime(call), (error) => {
    assert.ok(error instanceof HypervisorError, `${String(error)} is no HypervisorError`);
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    if (guest !== undefined) assert.equal(error.guest, guest);
    return true;
  });
}

/** The notices until `isEnough`, or until the watch ends. */
async function watch(
  { watchGuests }: Pick<Hypervisor, 'watchGuests'>,
  isEnough: (notices: readonly GuestNotice[]) => boolean,
): Promise<readonly GuestNotice[]> {
  const notices: GuestNotice[] = [];
  const stop = new AbortController();
  for await (const notice of watchGuests(stop.signal)) {
    notices.push(notice);
    if (isEnough(notices)) stop.abort();
  }
  return notices;
}

const watchOnce = ({ hypervisor, guest }: Subject): Promise<readonly GuestNotice[]> =>
  inTime(
    watch({ watchGuests: (signal) => hypervisor.watchGuests(signal) }, (notices) =>
      notices.some((notice) => notice.kind === 'guest-came' && notice.guest.id === guest),
    ),
  );

async function look({ hypervisor }: Subject, guests: readonly GuestId[], signal = NEVER): Promise<ReadOutcome[]> {
  const outcomes: ReadOutcome[] = [];
  await inTime(hypervisor.read(guests, (outcome) => outcomes.push(outcome), signal));
  return outcomes;
}

async function readingOf(subject: Subject): Promise<Reading> {
  const found = (await look(subject, [subject.guest])).find(({ kind }) => kind !== 'host-reading');
  assert.ok(found?.kind === 'reading');
  return found.reading;
}

type Promised = readonly [name: string, test: (subject: Subject) => Promise<void>];

const WATCHING: readonly Promised[] = [
  [
    'tells of the guests that are there, with ids of its kind and names that break nothing',
    async (subject) => {
      for (const notice of await watchOnce(subject)) {
        assert.ok(notice.kind === 'guest-came');
        const { id, name } = notice.guest;
        assert.ok(id.startsWith(`${subject.hypervisor.kind}/`) && id.length <= 255, id);
        assert.match(name, /^[\w.:-]{1,255}$/);
      }
    },
  ],
  [
    'tells of each guest once',
    async (subject) => {
      const ids = (await watchOnce(subject)).map((notice) => notice.kind === 'guest-came' && notice.guest.id);
      assert.equal(new Set(ids).size, ids.length);
    },
  ],
  [
    'tells again of those that are there when it is watched again',
    async (subject) => {
      const first = await watchOnce(subject);
      assert.deepEqual(await watchOnce(subject), first);
    },
  ],
  [
    'tells nothing under a signal that is aborted already',
    async ({ hypervisor }) => {
      const guests = hypervisor.watchGuests(AbortSignal.abort())[Symbol.asyncIterator]();
      assert.equal((await inTime(guests.next())).done, true);
    },
  ],
  [
    'ends the watch when it is told to, and when it is closed',
    async ({ hypervisor }) => {
      const ending = new AbortController();
      const ended = async (signal: AbortSignal): Promise<void> => {
        for await (const notice of hypervisor.watchGuests(signal)) assert.ok(notice.kind !== 'guest-left');
      };
      const first = ended(ending.signal);
      ending.abort();
      await inTime(first);
      const second = ended(NEVER);
      await inTime(hypervisor.close());
      await inTime(second);
    },
  ],
];

const READING: readonly Promised[] = [
  [
    'reads a guest with what it holds, true at a time that is not to come',
    async (subject) => {
      const { current, at } = await readingOf(subject);
      assert.ok(current.known && isPageCount(current.value) && current.value > 0);
      assert.ok(current.at <= at && at <= subject.now());
    },
  ],
  [
    'answers for each guest that was asked for, once, and fails those alone that are not there',
    async (subject) => {
      const none = `${subject.hypervisor.kind}/nobody`;
      const outcomes = (await look(subject, [none, subject.guest])).filter(({ kind }) => kind !== 'host-reading');
      const seen = new Map(outcomes.map((outcome) => ['guest' in outcome ? outcome.guest : '', outcome]));
      assert.equal(outcomes.length, 2);
      assert.equal(seen.get(subject.guest)?.kind, 'reading');
      const failed = seen.get(none);
      assert.ok(failed?.kind === 'reading-failed');
      assert.deepEqual([failed.error.code, failed.error.guest], ['EGONE', none]);
    },
  ],
  [
    'tells what the host has before what its guests have, where it says that they share it',
    async (subject) => {
      const pools = (await watchOnce(subject)).flatMap((notice) =>
        notice.kind === 'guest-came' && notice.guest.pool !== undefined ? [notice.guest.pool] : [],
      );
      const hosts = (await look(subject, [subject.guest])).map((outcome, place) => ({ outcome, place }));
      const found = hosts.filter(({ outcome }) => outcome.kind === 'host-reading');
      assert.equal(found.length, new Set(pools).size);
      for (const { outcome, place } of found) {
        assert.ok(place === 0 && outcome.kind === 'host-reading' && pools.includes(outcome.host.pool));
      }
    },
  ],
  [
    'reading does not hang under a signal that is aborted already',
    async (subject) => {
      const outcome = await look(subject, [subject.guest], AbortSignal.abort()).catch((error: unknown) => error);
      assert.ok(Array.isArray(outcome) || (outcome instanceof HypervisorError && outcome.code === 'ETIMEDOUT'));
    },
  ],
];

const SETTING: readonly Promised[] = [
  [
    'sets a guest to the size that it is to keep',
    async (subject) => {
      for (const size of subject.sizes) {
        await inTime(subject.hypervisor.setTarget(subject.guest, guestSize(pages(size)), NEVER));
        await subject.settle();
        assert.equal(subject.told(), size);
      }
    },
  ],
  [
    'leaves a guest at the newest of the sizes that are asked for at once',
    async (subject) => {
      const [first, last] = subject.sizes;
      const asked = [first, last, first, last].map((size) =>
        subject.hypervisor.setTarget(subject.guest, guestSize(pages(size)), NEVER),
      );
      const results = await inTime(Promise.allSettled(asked));
      await subject.settle();
      assert.equal(results.at(-1)?.status, 'fulfilled');
      assert.equal(subject.told(), last);
      for (const result of results) {
        if (result.status === 'fulfilled') continue;
        assert.ok(result.reason instanceof HypervisorError && result.reason.code === 'EUNAVAILABLE');
      }
    },
  ],
  [
    'sets nothing under a signal that is aborted already',
    async (subject) => {
      const { hypervisor, guest, sizes } = subject;
      const before = subject.told();
      await fails(hypervisor.setTarget(guest, guestSize(pages(sizes[0])), AbortSignal.abort()), ['ETIMEDOUT'], guest);
      await subject.settle();
      assert.equal(subject.told(), before);
    },
  ],
  [
    'does not set a guest that is not there',
    async ({ hypervisor, sizes }) => {
      const none = `${hypervisor.kind}/nobody`;
      await fails(hypervisor.setTarget(none, guestSize(pages(sizes[0])), NEVER), ['EGONE'], none);
    },
  ],
  [
    'leaves what it asked for as it is when it is closed',
    async (subject) => {
      await inTime(subject.hypervisor.setTarget(subject.guest, guestSize(pages(subject.sizes[0])), NEVER));
      await inTime(subject.hypervisor.close());
      await subject.settle();
      assert.equal(subject.told(), subject.sizes[0]);
    },
  ],
];

/** What is told of the guest that can grow, and how it is asked. */
async function growingOf(subject: Subject): Promise<{
  readonly block: number;
  readonly plug: (blocks: number, signal?: AbortSignal, guest?: GuestId) => Promise<void>;
  readonly told: () => number;
}> {
  const { hypervisor, growing } = subject;
  assert.ok(growing !== undefined && hypervisor.setGrowth !== undefined);
  const came = (await watchOnce(subject)).find(
    (notice) => notice.kind === 'guest-came' && notice.guest.id === growing.guest,
  );
  assert.ok(came?.kind === 'guest-came');
  const block = came.guest.capabilities.growthBlock ?? assert.fail('it does not say in which blocks');
  assert.ok(Number.isSafeInteger(block) && block > 0);
  const plug = async (blocks: number, signal = NEVER, guest = growing.guest): Promise<void> =>
    hypervisor.setGrowth?.(guest, pages(blocks * block), signal);
  return { block, plug, told: growing.told };
}

const GROWING: readonly Promised[] = [
  [
    'plugs into a guest what it is to have beyond its boot memory, and says what it has then',
    async (subject) => {
      const { block, plug, told } = await growingOf(subject);
      const read = async (): Promise<Reading> => readingOf({ ...subject, guest: subject.growing?.guest ?? '' });
      const { current: before, maximum: most } = await read();
      await inTime(plug(5));
      await subject.settle();
      assert.equal(told(), 5 * block);
      const { current, maximum, growth } = await read();
      assert.ok(growth?.plugged.known && growth.asked.known && growth.pluggable.known);
      assert.deepEqual([growth.plugged.value, growth.asked.value], [5 * block, 5 * block]);
      assert.ok(before.known && current.known && current.value === before.value + 5 * block);
      assert.ok(most.known && maximum.known && maximum.value === most.value && growth.pluggable.value >= 5 * block);
      await inTime(plug(0));
      await subject.settle();
      assert.equal(told(), 0);
    },
  ],
  [
    'leaves a guest at the newest of what is to be plugged in',
    async (subject) => {
      const { block, plug, told } = await growingOf(subject);
      const results = await inTime(Promise.allSettled([3, 1, 3, 2].map((blocks) => plug(blocks))));
      await subject.settle();
      assert.equal(results.at(-1)?.status, 'fulfilled');
      assert.equal(told(), 2 * block);
    },
  ],
  [
    'plugs nothing in under a signal that is aborted already, nor into a guest that is not there',
    async (subject) => {
      const { plug, told } = await growingOf(subject);
      await fails(plug(1, AbortSignal.abort()), ['ETIMEDOUT'], subject.growing?.guest);
      const none = `${subject.hypervisor.kind}/nobody`;
      await fails(plug(1, NEVER, none), ['EGONE'], none);
      await subject.settle();
      assert.equal(told(), 0);
    },
  ],
  [
    'plugs nothing into a guest that it says cannot grow',
    async (subject) => {
      const { hypervisor, guest } = subject;
      const came = (await watchOnce(subject)).flatMap((notice) => (notice.kind === 'guest-came' ? [notice.guest] : []));
      assert.equal(came.find(({ id }) => id === guest)?.capabilities.growthBlock, undefined);
      assert.equal((await readingOf(subject)).growth, undefined);
      if (hypervisor.setGrowth === undefined) return;
      await fails(hypervisor.setGrowth(guest, pages(512), NEVER), ['EPERM'], guest);
    },
  ],
];

/** Promises of adapters whose guests can grow. */
export const GROWS = GROWING.slice(0, 3).map(([name]) => name);

const ABILITIES: readonly Promised[] = [
  [
    'refuses to set a guest that it says it cannot set',
    async (subject) => {
      const { hypervisor, guest, sizes } = subject;
      const came = (await watchOnce(subject)).find((notice) => notice.kind === 'guest-came');
      assert.ok(came?.kind === 'guest-came' && !came.guest.capabilities.canSetTarget);
      await fails(hypervisor.setTarget(guest, guestSize(pages(sizes[0])), NEVER), ['EPERM'], guest);
    },
  ],
  [
    'shrinks an overflow tier only where it says that there is one',
    async (subject) => {
      const { hypervisor, guest } = subject;
      const came = (await watchOnce(subject)).flatMap((notice) => (notice.kind === 'guest-came' ? [notice.guest] : []));
      const hasTier = came.find(({ id }) => id === guest)?.capabilities.hasOverflowTier === true;
      const shrinking = hypervisor.shrinkOverflow(guest, NO_PAGES, NEVER);
      if (hasTier) assert.equal(typeof (await inTime(shrinking)), 'string');
      else await fails(shrinking, ['ENODEV', 'EPERM'], guest);
    },
  ],
  [
    'may be closed twice',
    async ({ hypervisor }) => {
      await inTime(hypervisor.close());
      await inTime(hypervisor.close());
    },
  ],
  [
    'reads nothing once it is closed',
    async (subject) => {
      await inTime(subject.hypervisor.close());
      await fails(look(subject, [subject.guest]), ['EUNAVAILABLE', 'EIO']);
    },
  ],
];

/** Declares the suite for one adapter. */
export function describeContract(name: string, { open, skip }: ContractOptions): void {
  const all = [...WATCHING, ...READING, ...SETTING, ...GROWING, ...ABILITIES];
  const unknown = skip.flatMap(({ tests }) => tests).filter((test) => !all.some(([promise]) => promise === test));
  assert.deepEqual(unknown, [], 'promises that are left out and are none');
  describe(`the port over ${name}`, () => {
    for (const [promise, keeps] of all) {
      const reason = skip.find(({ tests }) => tests.includes(promise))?.reason;
      it(promise, { skip: reason ?? false }, async (test) => keeps(await open(test)));
    }
  });
}
