/** Protects giving back without a daemon: a guest that nobody could see is named and makes the command fail, and the others get theirs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { releaseHost } from '../../src/cli/commands/release-host.js';
import type { Place } from '../../src/cli/daemon/place.js';
import { NO_LIMITS } from '../../src/control/limits.js';
import type { Capabilities, GuestNotice, Hypervisor } from '../../src/control/ports.js';
import { NOTHING_KNOWN } from '../../src/control/reading.js';
import { knownAt } from '../../src/control/signal.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { HypervisorError, SelfballoonError } from '../../src/errors.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis, pages } from '../../src/units.js';
import { loadText } from '../config/temporary-file.js';

const CAN: Capabilities = { canSetTarget: true, hasOverflowTier: false, isSimulated: false };
const GUESTS = {
  'test/answers': CAN,
  'test/whole': CAN,
  'test/mute': CAN,
  'test/silent': CAN,
  'test/refuses': CAN,
  'test/bare': { ...CAN, canSetTarget: false },
};

class FakeHost implements Hypervisor {
  readonly kind = 'test';
  readonly description = 'a host with guests that cannot all be seen';
  readonly targets: string[] = [];
  hidden: readonly string[] = [];
  /** Until then somebody has neither answered nor failed to, and only then those that are hidden are told of. */
  meetsUntil = 0;
  get isMeeting(): boolean {
    return this.clock.now() < this.meetsUntil;
  }
  unreached = (): readonly string[] => (this.isMeeting ? [] : this.hidden);
  constructor(
    readonly clock: VirtualClock,
    readonly guests: readonly (keyof typeof GUESTS)[],
  ) {}

  async *watchGuests(signal: AbortSignal): AsyncGenerator<GuestNotice> {
    for (const id of this.guests) {
      const guest = { id, name: id.slice(5), capabilities: GUESTS[id], pool: 'test', limits: NO_LIMITS };
      yield { kind: 'guest-came', guest };
    }
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
  }

  read: Hypervisor['read'] = (guests, report) => {
    const at = this.clock.now();
    const size = (count: number) => knownAt(pages(count), at);
    report({
      kind: 'host-reading',
      host: { pool: 'test', at, total: size(1e6), free: size(5e5), reserve: pages(0) },
    });
    for (const guest of guests) {
      const { reading } = { reading: { ...NOTHING_KNOWN, at } };
      if (guest === 'test/bare') report({ kind: 'reading', guest, reading });
      else if (guest === 'test/silent') {
        const error = new HypervisorError({ code: 'ETIMEDOUT', guest, message: 'it does not answer' });
        report({ kind: 'reading-failed', guest, error });
      } else if (guest === 'test/whole') {
        const sizes = { current: size(4_000), maximum: size(4_000), committed: size(500) };
        report({ kind: 'reading', guest, reading: { ...reading, ...sizes } });
      } else if (guest === 'test/mute') {
        report({ kind: 'reading', guest, reading: { ...reading, current: size(51_200), maximum: size(102_400) } });
      } else {
        const sizes = { current: size(1_000), maximum: size(4_000), committed: size(500) };
        report({ kind: 'reading', guest, reading: { ...reading, ...sizes } });
      }
    }
    return Promise.resolve();
  };

  setTarget: Hypervisor['setTarget'] = (guest, target) => {
    if (guest === 'test/refuses') {
      return Promise.reject(new HypervisorError({ code: 'EIO', guest, message: 'its quota is used up' }));
    }
    this.targets.push(`${guest} ${target}`);
    return Promise.resolve();
  };

  shrinkOverflow: Hypervisor['shrinkOverflow'] = () => Promise.reject(new Error('there is none'));
  close: Hypervisor['close'] = () => Promise.resolve();
}

describe('giving back where no daemon runs', () => {
  const releaseOf = async (
    test: { readonly after: (end: () => void) => void },
    guests: readonly (keyof typeof GUESTS)[],
    hidden: readonly string[] = [],
    meetsUntil = 0,
  ) => {
    const clock = new VirtualClock();
    const host = Object.assign(new FakeHost(clock, guests), { hidden, meetsUntil });
    const { config } = await loadText(test as never, '');
    const place: Place = {
      clock,
      hypervisors: [host],
      hasFrontswap: false,
      tunables: { ...DEFAULT_TUNABLES },
      isSimulated: false,
      keepTime: null,
      close: () => host.close(),
    };
    let endedAt = NaN;
    const printed: string[] = [];
    const work = releaseHost(place, config, (text) => printed.push(text))
      .catch((error: unknown) => error)
      .finally(() => (endedAt = clock.now()));
    await clock.advanceTo(millis(60_000));
    return { host, result: await work, endedAt, printed };
  };

  it('fails where a guest could not be seen, names it, and gives back to the others', async (test) => {
    const { host, result } = await releaseOf(test, ['test/answers', 'test/silent']);
    assert.ok(result instanceof SelfballoonError);
    assert.equal(result.code, 'ETIMEDOUT');
    assert.match(result.message, /what test\/silent holds could not be seen.*1 guest was told/);
    assert.deepEqual(host.targets, ['test/answers 4000']);
  });

  it('fails where a guest could not be told, names it, and does not count it', async (test) => {
    const { host, result } = await releaseOf(test, ['test/answers', 'test/refuses']);
    assert.ok(result instanceof SelfballoonError && result.code === 'EIO', String(result));
    assert.match(result.message, /^test\/refuses could not be told .*1 guest was told/);
    assert.deepEqual(host.targets, ['test/answers 4000']);
    const other = await releaseOf(test, ['test/refuses', 'test/silent']);
    assert.match(String(other.result), /0 guests were told.*test\/refuses could not be told/);
  });

  it('says for whom it waits', async (test) => {
    const { printed } = await releaseOf(test, ['test/answers', 'test/silent']);
    assert.equal(printed.filter((line) => line === 'waiting for test/silent, up to 30 s').length, 1, printed.join());
    assert.equal((await releaseOf(test, ['test/answers'])).printed.length, 0);
  });

  it('counts those that were told something, and not those that have everything', async (test) => {
    const { host, result } = await releaseOf(test, ['test/answers', 'test/whole']);
    assert.match(String(result), /1 guest was told/);
    assert.deepEqual(host.targets, ['test/answers 4000']);
  });

  it('names a guest that has less than it may have and in which nobody speaks, and leaves it', async (test) => {
    const { host, printed } = await releaseOf(test, ['test/answers', 'test/mute']);
    assert.deepEqual(host.targets, ['test/answers 4000']);
    assert.match(printed.join(), /^test\/mute: holds 200 of 400 MiB and was left as it is/);
  });

  it('fails where somebody may be who could not be reached, and gives back to the others', async (test) => {
    const { host, result } = await releaseOf(test, ['test/answers'], ['/run/web.qmp did not greet']);
    assert.ok(result instanceof SelfballoonError && result.code === 'EUNAVAILABLE');
    assert.match(result.message, /could not be reached.*web\.qmp did not greet; .*1 guest was told/);
    assert.deepEqual(host.targets, ['test/answers 4000']);
  });

  it('waits for one who has neither answered nor failed to, whoever has answered', async (test) => {
    const { host, result, endedAt } = await releaseOf(test, ['test/answers'], ['/run/web.qmp did not greet'], 5_500);
    assert.ok(result instanceof SelfballoonError && result.code === 'EUNAVAILABLE', String(result));
    assert.deepEqual(host.targets, ['test/answers 4000']);
    assert.ok(endedAt >= 5_500 && endedAt < 30_000, String(endedAt));
  });

  it('does not wait for one without a balloon, which has nothing of ours', async (test) => {
    const { host, result } = await releaseOf(test, ['test/answers', 'test/bare']);
    assert.match(String(result), /^no daemon answers; 1 guest was told/);
    assert.deepEqual(host.targets, ['test/answers 4000']);
  });

  for (const guests of [[], ['test/bare']] as const) {
    it(`is done after some ten seconds where nobody is driven (${guests.join() || 'no guest at all'})`, async (test) => {
      const { result, endedAt } = await releaseOf(test, guests);
      assert.match(String(result), /^no daemon answers; 0 guests were told/);
      assert.ok(endedAt >= 10_000 && endedAt < 12_000, String(endedAt));
    });
  }
});
