/** Protects how domains are read, what dom0 may be asked for, and that closing leaves nothing behind. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/errors.js';
import { mib, mibToPages, millis } from '../../../src/units.js';
import { fakeMemory } from '../../signals/alarm-roots.js';
import { fixture } from '../../support/paths.js';
import { until } from '../../xenstore/support/opened.js';
import { NEVER, RESERVE } from './support/rig.js';
import { DOM0, failsWith, gate, ONE, openTwo, TARGET, TWO } from './support/two-domains.js';

describe('dom0', () => {
  it('is only watched unless it is to be driven', async (test) => {
    const rig = await openTwo(test);
    await assert.rejects(rig.set(DOM0, 150_000), failsWith('EPERM', /xen_host\.drive_dom0/));
    assert.equal(rig.xen.text('/local/domain/0/memory/target'), null);
  });

  it('that is driven gets its target, in a node that is not there before, and no limit of Xen’s', async (test) => {
    const dom0 = { isDriven: true, floor: mibToPages(mib(700)), root: fixture('xen-guest'), alarms: null };
    const rig = await openTwo(test, { host: { dom0 } });
    // As a toolstack writes it also for dom0.
    rig.xen.put('/local/domain/0/memory/static-max', '819200');
    await rig.to(1_000);
    await rig.set(DOM0, 190_000);
    assert.equal(rig.xen.text('/local/domain/0/memory/target'), '760000');
    assert.deepEqual(rig.xen.limitsSet, []);
    const [came] = rig.notices;
    assert.ok(came?.kind === 'guest-came' && came.guest.capabilities.canSetTarget);
    assert.equal(came.guest.floorFirm, 179_200);
  });

  it('that is driven is watched between two rounds, by its own kernel', async (test) => {
    const memory = fakeMemory(test, 800, 300);
    const alarms = { trigger: { stall: millis(100), window: millis(1_000) }, warn: () => undefined };
    const dom0 = { isDriven: true, floor: mibToPages(mib(700)), root: memory.root, alarms };
    const rig = await openTwo(test, { host: { dom0 } });
    const alarmed = (): readonly unknown[] =>
      rig.notices.flatMap((notice) => (notice.kind === 'guest-alarm' ? [notice.guest, notice.alarm.cause] : []));
    await rig.to(2_000);
    assert.deepEqual(alarmed(), []);
    memory.set(20);
    await rig.to(4_000);
    assert.deepEqual(alarmed().slice(0, 2), [DOM0, 'low']);
    await rig.host.close();
    const before = rig.notices.length;
    await rig.to(10_000);
    assert.equal(rig.notices.length, before);
  });

  it('that is only watched raises no alarm: nothing was taken from it', async (test) => {
    const memory = fakeMemory(test, 800, 20);
    const alarms = { trigger: { stall: millis(100), window: millis(1_000) }, warn: () => undefined };
    const rig = await openTwo(test, {
      host: { dom0: { isDriven: false, floor: mibToPages(mib(700)), root: memory.root, alarms } },
    });
    await rig.to(3_000);
    assert.ok(!rig.notices.some(({ kind }) => kind === 'guest-alarm'));
  });

  it('is read from its own kernel, and holds what Xen says', async (test) => {
    const rig = await openTwo(test);
    const reading = await rig.reading(DOM0);
    assert.ok(reading.current.known && reading.current.value === 204_800);
    assert.ok(reading.committed.known && reading.committed.value === 12_030);
    assert.ok(reading.total.known && reading.total.value === 59_440);
  });

  it('that was shrunk before we came could hold what Xen allows it', async (test) => {
    const rig = await openTwo(test);
    (rig.xen.domains.get(0) ?? assert.fail()).held = 409_600;
    const { maximum } = await rig.reading(DOM0);
    assert.ok(maximum.known && maximum.value === 204_800);
  });

  it('that has no limit of Xen’s and was made smaller could hold what it held before', async (test) => {
    const rig = await openTwo(test);
    const dom0 = rig.xen.domains.get(0) ?? assert.fail();
    dom0.limit = null;
    await rig.reading(DOM0);
    dom0.held = 409_600;
    const { maximum } = await rig.reading(DOM0);
    assert.ok(maximum.known && maximum.value === 204_800);
  });

  it('could hold the most that it was seen to hold', async (test) => {
    const rig = await openTwo(test);
    const dom0 = rig.xen.domains.get(0);
    assert.ok(dom0 !== undefined);
    const most = async (): Promise<unknown> => {
      const { maximum } = await rig.reading(DOM0);
      return maximum.known ? maximum.value : maximum.reason;
    };
    assert.equal(await most(), 204_800);
    dom0.held = 409_600;
    assert.equal(await most(), 204_800);
    dom0.held = 1_228_800;
    assert.equal(await most(), 307_200);
  });
});

/** What a look at that guest says is free, in pages. */
const freeIn =
  (rig: Awaited<ReturnType<typeof openTwo>>) =>
  async (guest: string): Promise<number> => {
    const [host] = await rig.look([guest]);
    assert.ok(host?.kind === 'host-reading' && host.host.free.known);
    return host.host.free.value;
  };

describe('reading domains', () => {
  it('tells first what the host has, from the same look', async (test) => {
    const rig = await openTwo(test);
    await rig.to(3_000);
    const outcomes = await rig.look([TWO, ONE]);
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['host-reading', 'reading', 'reading'],
    );
    const free = (4_193_280 - 819_200 - 2 * 262_144) / 4;
    assert.deepEqual(outcomes[0], {
      kind: 'host-reading',
      host: {
        pool: 'xen-host',
        at: 3_000,
        total: { known: true, value: 1_048_320, at: 3_000 },
        free: { known: true, value: free, at: 3_000 },
        reserve: RESERVE,
        ifSlow: rig.xen.ifSlow,
      },
    });
    assert.equal(rig.xen.looks, 1);
  });

  it('does not count as free what a guest gave up by itself and may take back, until control has heard of it', async (test) => {
    const rig = await openTwo(test);
    const one = rig.xen.domains.get(1) ?? assert.fail();
    const freeOf = freeIn(rig);
    await rig.look([ONE, TWO]);
    const before = await freeOf(TWO);
    one.held = 65_536;
    await rig.to(1_000);
    assert.equal(await freeOf(TWO), before);
    await rig.to(2_000);
    // The look that tells of the guest itself is still the careful one; after it control counts the promise.
    assert.equal(await freeOf(ONE), before);
    await rig.to(3_000);
    assert.equal(await freeOf(TWO), before + (262_144 - 65_536) / 4);
  });

  it('does not count as free what somebody else has just told a guest to hold, and counts once what we have', async (test) => {
    const rig = await openTwo(test);
    const freeOf = freeIn(rig);
    await rig.look([ONE, TWO]);
    const before = await freeOf(TWO);
    rig.xen.put(TARGET, String(262_144 + 40_000));
    await rig.to(1_000);
    assert.equal(await freeOf(TWO), before - 10_000);
    // Ours takes the place of the other's, and control counts it itself.
    await rig.set(ONE, (262_144 + 80_000) / 4);
    await rig.to(2_000);
    assert.equal(await freeOf(TWO), before);
    rig.xen.put(TARGET, String(262_144 + 100_000));
    await rig.to(3_000);
    assert.equal(await freeOf(TWO), before - 5_000);
  });

  it('counts as free what a guest gave up because it was told to, at the look that tells of that guest', async (test) => {
    const rig = await openTwo(test);
    const freeOf = freeIn(rig);
    await rig.look([ONE, TWO]);
    const before = await freeOf(TWO);
    await rig.set(ONE, 16_384);
    (rig.xen.domains.get(1) ?? assert.fail()).held = 65_536;
    await rig.to(1_000);
    // An alarm of the first guest now would be answered with what is free on top of what it is known to hold.
    assert.equal(await freeOf(TWO), before);
    await rig.to(2_000);
    assert.equal(await freeOf(ONE), before + (262_144 - 65_536) / 4);
    await rig.to(3_000);
    assert.equal(await freeOf(TWO), before + (262_144 - 65_536) / 4);
  });

  it('counts what a driven dom0 gave up on its way down no sooner than that of a guest', async (test) => {
    const dom0 = { isDriven: true, floor: mibToPages(mib(100)), root: fixture('xen-guest'), alarms: null };
    const rig = await openTwo(test, { host: { dom0 } });
    const freeOf = freeIn(rig);
    await rig.look([DOM0, ONE]);
    const before = await freeOf(ONE);
    await rig.set(DOM0, 150_000);
    (rig.xen.domains.get(0) ?? assert.fail()).held = 600_000;
    await rig.to(1_000);
    assert.equal(await freeOf(ONE), before);
    await rig.to(2_000);
    assert.equal(await freeOf(DOM0), before + 204_800 - 150_000);
  });

  it('counts once what a guest gave up below its new target', async (test) => {
    const rig = await openTwo(test);
    const freeOf = freeIn(rig);
    await rig.look([ONE, TWO]);
    const before = await freeOf(TWO);
    await rig.set(ONE, 32_768);
    (rig.xen.domains.get(1) ?? assert.fail()).held = 65_536;
    await rig.to(1_000);
    assert.equal(await freeOf(TWO), before);
    await rig.to(2_000);
    assert.equal(await freeOf(ONE), before + (262_144 - 131_072) / 4);
  });

  it('fails those alone that are unknown or dying', async (test) => {
    const rig = await openTwo(test);
    const dying = rig.xen.domains.get(1);
    assert.ok(dying !== undefined);
    dying.isDying = true;
    rig.xen.domains.delete(2);
    rig.xen.create(3, { name: 'three' });
    await rig.to(1_000);
    const outcomes = (await rig.look([ONE, 'xen-host/x:9', TWO, 'xen-host/three:3'])).slice(1);
    const seen = outcomes.map((outcome) => (outcome.kind === 'reading-failed' ? outcome.error.message : outcome.kind));
    assert.match(seen[0] ?? '', /guest xen-host\/one:1: .*being taken down/);
    assert.match(seen[1] ?? '', /guest xen-host\/x:9: .*does not know it/);
    assert.match(seen[2] ?? '', /guest xen-host\/two:2: .*does not know it/);
    assert.equal(seen[3], 'reading');
  });

  it('with limits that can be moved counts the domain’s own maximum, and Xen’s where that is not known', async (test) => {
    const rig = await openTwo(test);
    const most = async (): Promise<unknown> => {
      const { maximum } = await rig.reading(ONE);
      return maximum.known ? maximum.value : maximum.reason;
    };
    assert.equal(await most(), 131_072);
    rig.xen.remove('/local/domain/1/memory/static-max');
    await rig.to(1_000);
    assert.equal(await most(), 65_792);
  });

  it('with limits that nobody can move counts Xen’s', async (test) => {
    const rig = await openTwo(test, { host: { limits: null } });
    const { maximum } = await rig.reading(ONE);
    assert.ok(maximum.known && maximum.value === 65_792);
  });

  it('ends with its time limit when the look hangs, and asks for no other look meanwhile', async (test) => {
    const rig = await openTwo(test);
    const hang = gate();
    rig.xen.beforeLook = () => hang.opened;
    for (let round = 0; round < 20; round += 1) {
      const limit = new AbortController();
      const looking = rig.look([ONE], limit.signal);
      limit.abort();
      await assert.rejects(looking, failsWith('ETIMEDOUT', /a Xen made up by a test/));
    }
    assert.equal(rig.xen.looks, 1);
    hang.open();
    await rig.settle();
    await rig.look([ONE]);
    assert.equal(rig.xen.looks, 2);
  });

  it('that joins a look under way takes what it brings for as old as it is', async (test) => {
    const rig = await openTwo(test);
    const hang = gate();
    rig.xen.beforeLook = () => hang.opened;
    const first = rig.look([ONE]);
    await rig.to(4_000);
    const second = rig.look([TWO]);
    hang.open();
    const at = (await Promise.all([first, second])).map(([host]) => host?.kind === 'host-reading' && host.host.at);
    assert.deepEqual(at, [0, 0]);
    assert.equal((await rig.hostReading()).at, 4_000);
  });

  it('does not look at all once the time is up', async (test) => {
    const rig = await openTwo(test);
    await assert.rejects(rig.look([ONE], AbortSignal.abort()), failsWith('ETIMEDOUT'));
    assert.equal(rig.xen.looks, 0);
  });

  it('passes on why the host cannot be seen', async (test) => {
    const rig = await openTwo(test);
    rig.xen.beforeLook = () => Promise.reject(new HypervisorError({ code: 'EIO', message: 'no privcmd' }));
    await assert.rejects(rig.look([ONE]), failsWith('EIO', /no privcmd/));
    rig.xen.beforeLook = () => Promise.resolve();
    assert.equal((await rig.look([ONE])).length, 2);
  });
});

describe('a dom0 that is only watched', () => {
  it('is trusted with its own: what it is told to hold and does not is not kept from the guests', async (test) => {
    const rig = await openTwo(test);
    const TARGET_OF_DOM0 = '/local/domain/0/memory/target';
    rig.xen.put(TARGET_OF_DOM0, '819200');
    await rig.to(1_000);
    await rig.look([DOM0, ONE, TWO]);
    const { free: before } = await rig.hostReading();
    rig.xen.put(TARGET_OF_DOM0, `${819_200 + 100_000}`);
    await rig.to(2_000);
    const { free } = await rig.hostReading();
    assert.ok(before.known && free.known);
    assert.equal(free.value, before.value);
  });
});

describe('the overflow tier of a domain', () => {
  it('is inside it', async (test) => {
    const rig = await openTwo(test);
    await assert.rejects(rig.host.shrinkOverflow(ONE, RESERVE, NEVER), failsWith('ENODEV', /in the guest/));
  });
});

describe('closing the host', () => {
  it('leaves no socket, timer or descriptor, and what was asked for as it is', async (test) => {
    const before = [readdirSync('/proc/self/fd').length, process.getActiveResourcesInfo().sort()];
    const rig = await openTwo(test);
    await rig.set(ONE, 50_000);
    await rig.host.close();
    await until('the socket is gone', () => rig.store.connections.every(({ socket }) => socket.destroyed));
    await rig.store.stop();
    assert.deepEqual([readdirSync('/proc/self/fd').length, process.getActiveResourcesInfo().sort()], before);
    assert.equal(rig.xen.text(TARGET), '200000');
    assert.equal(rig.xen.closings, 2);
  });

  it('ends the watch, and refuses what comes after', async (test) => {
    const rig = await openTwo(test);
    const watched = rig.host.watchGuests(NEVER)[Symbol.asyncIterator]();
    rig.stopWatching();
    await rig.host.close();
    let last = await watched.next();
    while (last.done !== true) last = await watched.next();
    await assert.rejects(rig.look([ONE]), failsWith('EUNAVAILABLE', /closed/));
    await assert.rejects(rig.set(ONE, 50_000), failsWith('EUNAVAILABLE'));
    assert.deepEqual(rig.told, []);
  });

  it('before it was ever watched connects to nobody', async (test) => {
    const rig = await openTwo(test, { isWatched: false });
    await rig.host.close();
    const after = await rig.host.watchGuests(NEVER)[Symbol.asyncIterator]().next();
    assert.equal(after.done, true);
    assert.equal(rig.store.connections.length, 0);
  });

  it('waits for a target on its way', async (test) => {
    const rig = await openTwo(test);
    const slow = gate();
    rig.xen.beforeLimit = () => slow.opened;
    const asked = rig.set(ONE, 50_000);
    await rig.settle();
    const closing = rig.host.close();
    await rig.settle();
    slow.open();
    await Promise.all([asked, closing]);
    assert.equal(rig.xen.text(TARGET), '200000');
  });

  it('does not wait for ever, and says that nobody knows what became of it', async (test) => {
    const rig = await openTwo(test);
    rig.store.isHolding = true;
    const asked = assert.rejects(rig.set(ONE, 50_000), failsWith('EUNAVAILABLE'));
    await rig.settle();
    const closing = assert.rejects(rig.host.close(), failsWith('ETIMEDOUT', /nobody knows/));
    await rig.to(5_000);
    await Promise.all([asked, closing]);
    assert.equal(rig.xen.closings, 2);
  });
});
