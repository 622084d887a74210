/** Protects how a domain is asked for a size: what stands on the wire, in which order, and that the newest size wins. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/errors.js';
import { encodeFrame, type Frame } from '../../../src/xenstore/codec.js';
import { until } from '../../xenstore/support/opened.js';
import { Rig } from './support/rig.js';
import { failsWith, gate, ONE, openTwo, TARGET, TWO } from './support/two-domains.js';

/** Every payload of a WRITE so far, with `|` for the NUL between path and value. */
const writes = (rig: Rig): readonly string[] =>
  rig.store.requests
    .filter(({ operation }) => operation === 'WRITE')
    .map(({ payload }) => payload.toString().replace('\0', '|'));

describe('asking a domain for a size', () => {
  it('writes the KiB that it is to keep to memory/target, and nothing else', async (test) => {
    const rig = await openTwo(test);
    await rig.set(ONE, 50_000);
    assert.deepEqual(writes(rig), [`${TARGET}|200000`]);
    assert.equal(rig.xen.text(TARGET), '200000');
  });

  it('moves Xen’s limit first, a MiB above the target, up and down', async (test) => {
    const rig = await openTwo(test);
    const order: string[] = [];
    rig.xen.beforeLimit = () => {
      order.push(`limit while the target is ${rig.xen.text(TARGET) ?? ''}`);
      return Promise.resolve();
    };
    await rig.set(ONE, 50_000);
    await rig.set(ONE, 100_000);
    assert.deepEqual(rig.xen.limitsSet, [
      { domid: 1, limit: 201_024 },
      { domid: 1, limit: 401_024 },
    ]);
    assert.deepEqual(order, ['limit while the target is 262144', 'limit while the target is 200000']);
  });

  it('leaves room in Xen’s limit for the memory of its graphics card, up to 512 MiB', async (test) => {
    const rig = await openTwo(test);
    const limits: number[] = [];
    for (const [n, videoRam] of ['16384', '0', 'none', `${2 ** 40}`].entries()) {
      rig.xen.put('/local/domain/1/memory/videoram', videoRam);
      await rig.to((n + 1) * 1_000);
      await rig.set(ONE, 50_000);
      limits.push(rig.xen.limitsSet.at(-1)?.limit ?? Number.NaN);
    }
    assert.deepEqual(limits, [217_408, 201_024, 201_024, 201_024 + 524_288]);
    assert.equal(rig.xen.text(TARGET), '200000');
  });

  it('never moves the limit of a domain that has no other maximum: what it could have would be lost', async (test) => {
    const rig = await openTwo(test);
    rig.xen.remove('/local/domain/1/memory/static-max');
    await rig.to(1_000);
    await rig.set(ONE, 50_000);
    assert.equal(rig.xen.text(TARGET), '200000');
    assert.deepEqual(rig.xen.limitsSet, []);
  });

  it('sets no target where Xen does not take the limit, and says so', async (test) => {
    const rig = await openTwo(test);
    rig.xen.beforeLimit = () => Promise.reject(new HypervisorError({ code: 'EIO', message: 'Xen refused' }));
    await assert.rejects(rig.set(ONE, 50_000), failsWith('EIO', /Xen refused/));
    assert.equal(rig.xen.text(TARGET), '262144');
    assert.equal(rig.store.last.session.transactions.size, 0);
  });

  it('sets targets alone where nobody can move limits', async (test) => {
    const rig = await openTwo(test, { host: { limits: null } });
    await rig.set(ONE, 50_000);
    assert.equal(rig.xen.text(TARGET), '200000');
    assert.deepEqual(rig.xen.limitsSet, []);
  });

  it('does nothing to a domain that is gone, known as such or not: no node, no limit', async (test) => {
    const rig = await openTwo(test);
    rig.xen.forget(1);
    await assert.rejects(rig.set(ONE, 50_000), failsWith('EGONE', /there is no \/local\/domain\/1\/memory\/target/));
    rig.store.fire('@releaseDomain');
    await rig.to(1_000);
    await assert.rejects(rig.set(ONE, 50_000), failsWith('EGONE', /has left/));
    await assert.rejects(rig.set('xen-host/none:9', 50_000), failsWith('EGONE'));
    assert.equal(rig.xen.text('/local/domain/1'), null);
    assert.deepEqual(writes(rig), []);
    assert.deepEqual(rig.xen.limitsSet, []);
  });

  it('never writes a target of 0 or past 2^53 KiB', async (test) => {
    const rig = await openTwo(test);
    for (const count of [0, 2 ** 51]) await assert.rejects(rig.set(ONE, count), failsWith('EINVAL', /not written/));
    assert.deepEqual(writes(rig), []);
    assert.deepEqual(rig.xen.limitsSet, []);
  });

  it('does nothing once the time is up', async (test) => {
    const rig = await openTwo(test);
    await assert.rejects(rig.set(ONE, 50_000, AbortSignal.abort()), failsWith('ETIMEDOUT'));
    await rig.settle();
    assert.deepEqual(writes(rig), []);
    assert.deepEqual(rig.xen.limitsSet, []);
  });

  it('ends with its time limit when xenstored is silent, and works again when it is not', async (test) => {
    const rig = await openTwo(test);
    rig.store.isHolding = true;
    const limit = new AbortController();
    const asked = rig.set(ONE, 50_000, limit.signal);
    await rig.settle();
    limit.abort();
    await assert.rejects(asked, failsWith('ETIMEDOUT', /guest xen-host\/one:1: .*not finished in time/));
    rig.store.isHolding = false;
    rig.store.release();
    await rig.settle();
    await rig.set(ONE, 60_000);
    assert.equal(rig.xen.text(TARGET), '240000');
    assert.deepEqual(writes(rig), [`${TARGET}|240000`]);
  });

  it('is refused while the connection is lost, with the reason, and works again after', async (test) => {
    const rig = await openTwo(test);
    rig.isDown = true;
    await rig.cut();
    await assert.rejects(rig.set(ONE, 50_000), failsWith('EUNAVAILABLE', /no connection to xenstored: .*ended/));
    await rig.to(2_000);
    await assert.rejects(rig.set(ONE, 50_000), failsWith('EUNAVAILABLE', /connecting to xenstored on .* failed/));
    rig.isDown = false;
    await rig.to(10_000);
    await rig.set(ONE, 50_000);
    assert.equal(rig.xen.text(TARGET), '200000');
  });

  it('that is under way when the connection is lost is refused, and never comes about later', async (test) => {
    const rig = await openTwo(test);
    rig.store.isHolding = true;
    const asked = rig.set(ONE, 50_000);
    const refused = assert.rejects(asked, failsWith('EUNAVAILABLE'));
    await rig.settle();
    await rig.cut();
    await refused;
    rig.store.held.length = 0;
    rig.store.isHolding = false;
    await rig.to(10_000);
    assert.equal(rig.xen.text(TARGET), '262144');
  });

  it('is refused before the host was ever watched', async (test) => {
    const rig = await openTwo(test, { isWatched: false });
    await assert.rejects(rig.set(ONE, 50_000), failsWith('EGONE'));
  });

  it('passes on what xenstored refuses', async (test) => {
    const rig = await openTwo(test);
    rig.store.world.transactionsMax = 0;
    await assert.rejects(rig.set(ONE, 50_000), failsWith('EIO', /setting .*memory\/target to 200000 KiB: .*ENOSPC/));
  });

  it('of 200 domains at once sets them all', async (test) => {
    const rig = await Rig.open(test, (xen) => {
      for (let domid = 1; domid <= 200; domid += 1) xen.create(domid);
    });
    await until('all have come', () => rig.notices.length === 201);
    const ids = Array.from({ length: 200 }, (_, n) => `xen-host/guest-${n + 1}:${n + 1}`);
    await Promise.all(ids.map((id, n) => rig.set(id, 40_000 + n)));
    for (let n = 0; n < 200; n += 1) {
      assert.equal(rig.xen.text(`/local/domain/${n + 1}/memory/target`), `${(40_000 + n) * 4}`);
    }
  });
});

/** xenstored answers requests of this operation with an error; nothing is done, either. */
function refuse(rig: Rig, operation: string, word: string): void {
  rig.store.tamper = (answer, request) =>
    request.operation === operation && !isDiscarded(request)
      ? [encodeFrame({ ...request, operation: 'ERROR', payload: Buffer.from(`${word}\0`) })]
      : rig.store.honestly(answer);
}

const isDiscarded = ({ operation, payload }: Frame): boolean =>
  operation === 'TRANSACTION_END' && payload.toString().startsWith('F');

const limitOf = (rig: Rig): unknown => rig.xen.domains.get(1)?.limit;

/** What a look at these guests says is free, in pages. */
async function freeFor(rig: Rig, guests: readonly string[] = [ONE, TWO]): Promise<number> {
  const [host] = await rig.look(guests);
  assert.ok(host?.kind === 'host-reading' && host.host.free.known);
  return host.host.free.value;
}

async function refusedGrowth(rig: Rig): Promise<void> {
  refuse(rig, 'WRITE', 'EQUOTA');
  await assert.rejects(rig.set(ONE, 131_072));
}

async function growthGivenUp(rig: Rig): Promise<void> {
  const slow = gate();
  rig.xen.beforeLimit = () => slow.opened;
  const first = rig.set(ONE, 65_536);
  await rig.settle();
  const limit = new AbortController();
  const second = assert.rejects(rig.set(ONE, 131_072, limit.signal));
  limit.abort();
  slow.open();
  await Promise.all([first, second]);
  await rig.settle();
}

describe('a size that was not taken', () => {
  it('leaves Xen’s limit at what fits the target that stands, for growth as for shrinking', async (test) => {
    const rig = await openTwo(test);
    refuse(rig, 'WRITE', 'EQUOTA');
    for (const target of [131_072, 32_768]) {
      await assert.rejects(rig.set(ONE, target), failsWith('EIO', /EQUOTA/));
      assert.equal(rig.xen.text(TARGET), '262144');
      assert.equal(limitOf(rig), 263_168);
    }
    assert.deepEqual(
      rig.xen.limitsSet.map(({ limit }) => limit),
      [525_312, 263_168, 132_096, 263_168],
    );
  });

  it('because others change the same nodes all the time does so too, by what they wrote', async (test) => {
    const rig = await openTwo(test);
    let writes = 0;
    rig.xen.beforeLimit = () => {
      writes += 1;
      rig.xen.put(TARGET, String(262_144 + writes));
      return Promise.resolve();
    };
    const refused = assert.rejects(rig.set(ONE, 131_072), failsWith('EIO', /changes by others each of 10 times/));
    await rig.to(4_000);
    await refused;
    assert.equal(rig.xen.text(TARGET), String(262_144 + 11));
    assert.equal(limitOf(rig), 262_144 + 10 - 2 + 1_024);
  });

  it('goes by what somebody else has written meanwhile', async (test) => {
    const rig = await openTwo(test);
    rig.store.tamper = (answer, request) => {
      if (request.operation !== 'WRITE') return rig.store.honestly(answer);
      rig.xen.put(TARGET, '200000');
      return [encodeFrame({ ...request, operation: 'ERROR', payload: Buffer.from('EQUOTA\0') })];
    };
    await assert.rejects(rig.set(ONE, 131_072), failsWith('EIO', /EQUOTA/));
    assert.equal(limitOf(rig), 201_024);
  });

  it('counts as refused where an earlier attempt had written and met others', async (test) => {
    const rig = await openTwo(test);
    let moves = 0;
    rig.xen.beforeLimit = () => {
      moves += 1;
      if (moves === 1) rig.xen.put(TARGET, '240000');
      return moves === 2 ? Promise.reject(new HypervisorError({ code: 'EIO', message: 'no' })) : Promise.resolve();
    };
    await assert.rejects(rig.set(ONE, 131_072), failsWith('EIO', /no/));
    assert.equal(limitOf(rig), 241_024);
  });

  it('is not counted as promised, whether it was refused or given up on: what others write counts in full', async (test) => {
    for (const howItFails of [refusedGrowth, growthGivenUp]) {
      const rig = await openTwo(test);
      const before = await freeFor(rig);
      await howItFails(rig);
      rig.xen.put(TARGET, String(262_144 + 40_000));
      await rig.to(1_000);
      assert.equal(await freeFor(rig, [TWO]), before - 10_000, howItFails.name);
    }
  });

  it('goes by what stood there before, where that cannot be read again', async (test) => {
    const rig = await openTwo(test);
    rig.store.tamper = (answer, request) => {
      const isRefused = request.operation === 'WRITE' || (request.operation === 'READ' && request.transactionId === 0);
      return isRefused
        ? [encodeFrame({ ...request, operation: 'ERROR', payload: Buffer.from('ENOMEM\0') })]
        : rig.store.honestly(answer);
    };
    await assert.rejects(rig.set(ONE, 131_072), failsWith('ENOMEM'));
    assert.equal(limitOf(rig), 263_168);
  });

  it('is told as one that may have been, where the limit stays as it is: its promise must be kept', async (test) => {
    const rig = await openTwo(test);
    refuse(rig, 'WRITE', 'EQUOTA');
    rig.xen.beforeLimit = () =>
      limitOf(rig) === 525_312
        ? Promise.reject(new HypervisorError({ code: 'EIO', message: 'Xen refused' }))
        : Promise.resolve();
    await assert.rejects(rig.set(ONE, 131_072), failsWith('EUNAVAILABLE', /nobody knows .*Xen refused/));
    assert.equal(limitOf(rig), 525_312);
  });

  it('is told as one that may have been, where the target that stands is no number', async (test) => {
    const rig = await openTwo(test);
    rig.xen.put(TARGET, 'much');
    refuse(rig, 'WRITE', 'EQUOTA');
    await assert.rejects(rig.set(ONE, 131_072), failsWith('EUNAVAILABLE', /nobody knows .*"much"/));
  });

  it('may have been all the same where the answer to its commit is lost or cannot be understood', async (test) => {
    const rig = await openTwo(test);
    rig.store.tamper = (answer, request) =>
      request.operation === 'TRANSACTION_END'
        ? [encodeFrame({ ...answer, payload: Buffer.from('what\0') })]
        : rig.store.honestly(answer);
    await assert.rejects(rig.set(ONE, 131_072), failsWith('EUNAVAILABLE', /nobody knows .*TRANSACTION_END/));
    assert.equal(rig.xen.text(TARGET), '524288');
    assert.equal(limitOf(rig), 525_312);
  });
});

describe('the newest size asked for', () => {
  it('wins: one that waits is overtaken and never set, and is told so', async (test) => {
    const rig = await openTwo(test);
    const slow = gate();
    rig.xen.beforeLimit = () => slow.opened;
    const first = rig.set(ONE, 50_000);
    await rig.settle();
    const second = assert.rejects(rig.set(ONE, 60_000), failsWith('EUNAVAILABLE', /newer target.*never set/));
    const third = rig.set(ONE, 70_000);
    slow.open();
    await Promise.all([first, second, third]);
    assert.deepEqual(writes(rig), [`${TARGET}|200000`, `${TARGET}|280000`]);
    assert.deepEqual(
      rig.xen.limitsSet.map(({ limit }) => limit),
      [201_024, 281_024],
    );
  });

  it('wins over one that ran out of time while Xen’s limit was being moved', async (test) => {
    const rig = await openTwo(test);
    const slow = gate();
    rig.xen.beforeLimit = () => slow.opened;
    const limit = new AbortController();
    const first = rig.set(ONE, 50_000, limit.signal);
    await rig.settle();
    limit.abort();
    await assert.rejects(first, failsWith('ETIMEDOUT'));
    const second = rig.set(ONE, 60_000);
    await rig.settle();
    assert.deepEqual(rig.xen.limitsSet, []);
    slow.open();
    await second;
    assert.deepEqual(
      rig.xen.limitsSet.map(({ limit: set }) => set),
      [201_024, 263_168, 241_024],
    );
    assert.deepEqual(writes(rig), [`${TARGET}|240000`]);
  });

  it('that gave up while it waited is not set', async (test) => {
    const rig = await openTwo(test);
    const slow = gate();
    rig.xen.beforeLimit = () => slow.opened;
    const first = rig.set(ONE, 50_000);
    await rig.settle();
    const limit = new AbortController();
    const second = rig.set(ONE, 60_000, limit.signal);
    limit.abort();
    await assert.rejects(second, failsWith('ETIMEDOUT'));
    slow.open();
    await first;
    await rig.settle();
    assert.deepEqual(writes(rig), [`${TARGET}|200000`]);
  });

  it('of one domain does not wait for that of another', async (test) => {
    const rig = await openTwo(test);
    const slow = gate();
    rig.xen.beforeLimit = (domid) => (domid === 1 ? slow.opened : Promise.resolve());
    const first = rig.set(ONE, 50_000);
    await rig.settle();
    await rig.set(TWO, 60_000);
    slow.open();
    await first;
    assert.equal(rig.xen.text('/local/domain/2/memory/target'), '240000');
  });
});
