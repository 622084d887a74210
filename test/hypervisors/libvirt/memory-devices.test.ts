/** Protects that memory is plugged into a domain's devices as meant, in KiB and whole blocks, and that what is there is counted once. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { HypervisorError } from '../../../src/errors.js';
import { guestSize, mib, mibToPages, type Pages } from '../../../src/units.js';
import { until } from '../../qmp/support/opened.js';
import { fakePlug, type FakeDomain, type FakePlug } from '../../virsh/support/fake-libvirt.js';
import { Rig } from './support/rig.js';

const NEVER = new AbortController().signal;
const MIB = 1_024;
const pagesOf = (size: number): Pages => mibToPages(mib(size));
const failsWith =
  (code: string, message = /./) =>
  (error: unknown): boolean =>
    error instanceof HypervisorError &&
    error.code === code &&
    error.guest === 'libvirt/one' &&
    message.test(error.message);

/** A host with a domain of 1 GiB that has these devices. */
async function openPlugged(test: TestContext, ...plugs: FakePlug[]): Promise<{ rig: Rig; domain: FakeDomain }> {
  const rig = new Rig();
  test.after(() => rig.host.close());
  const domain = rig.libvirt.add('one', { plugs });
  rig.watch();
  await rig.untilLog('came libvirt/one');
  return { rig, domain };
}

const plug = async ({ host }: Rig, size: number, signal = NEVER): Promise<void> => {
  await host.setGrowth?.('libvirt/one', pagesOf(size), signal);
};
const askedOf = ({ libvirt }: Rig, command: string): readonly string[] =>
  libvirt.asked.filter((line) => line.startsWith(`${command} `));

/** What the reading says is plugged in and asked, in MiB. */
async function growthMib(rig: Rig): Promise<readonly (number | null)[]> {
  const { growth } = await rig.reading('libvirt/one');
  return [growth?.plugged, growth?.asked].map((signal) => (signal?.known === true ? signal.value / 256 : null));
}

describe('a domain with virtio-mem', () => {
  it('says in which blocks it can grow, and holds what is plugged in beyond its boot memory', async (test) => {
    const { rig, domain } = await openPlugged(test, fakePlug({ requested: 64 * MIB, current: 32 * MIB }));
    const [came] = rig.notices;
    assert.ok(came?.kind === 'guest-came');
    assert.deepEqual(came.guest.capabilities, {
      ...{ canSetTarget: true, hasOverflowTier: false, isSimulated: false, deflatesOnOom: true },
      growthBlock: 512,
    });
    domain.current = 700 * MIB;
    const { current, maximum, growth } = await rig.reading('libvirt/one');
    assert.ok(current.known && current.value === pagesOf(732));
    assert.ok(maximum.known && maximum.value === pagesOf(2_048));
    assert.deepEqual(growth, {
      plugged: { known: true, value: pagesOf(32), at: 0 },
      asked: { known: true, value: pagesOf(64), at: 0 },
      pluggable: { known: true, value: pagesOf(1_024), at: 0 },
    });
  });

  it('is asked in KiB, for what is added to its boot memory, and of the running domain alone', async (test) => {
    const { rig, domain } = await openPlugged(test, fakePlug());
    await plug(rig, 256);
    assert.equal(
      rig.libvirt.asked.find((line) => line.startsWith('update')),
      `update-memory-device ${domain.uuid} --alias virtiomem0 --requested-size 262144 --live`,
    );
    assert.deepEqual(askedOf(rig, 'setmem'), []);
    assert.deepEqual(await growthMib(rig), [256, 256]);
  });

  it('has its balloon asked for boot memory alone, whatever is plugged in', async (test) => {
    const { rig, domain } = await openPlugged(test, fakePlug({ requested: 256 * MIB, current: 256 * MIB }));
    await rig.host.setTarget('libvirt/one', guestSize(pagesOf(700)), NEVER);
    assert.deepEqual(askedOf(rig, 'setmem'), [`setmem ${domain.uuid} 716800 --live`]);
    const { current, asked } = await rig.reading('libvirt/one');
    assert.ok(current.known && current.value === pagesOf(956));
    assert.ok(asked.known && asked.value === pagesOf(700));
  });

  it('has its devices filled in order', async (test) => {
    const first = fakePlug({ size: 128 * MIB });
    const second = fakePlug({ alias: 'ua-more', size: 256 * MIB, isObedient: false });
    const { rig } = await openPlugged(test, first, second);
    await plug(rig, 192);
    assert.deepEqual([first.requested, second.requested], [128 * MIB, 64 * MIB]);
    assert.deepEqual(await growthMib(rig), [128, 192]);
    await plug(rig, 64);
    assert.deepEqual([first.requested, second.requested], [64 * MIB, 0]);
  });

  it('is not asked for what is no whole blocks, or more than there can be', async (test) => {
    const { rig } = await openPlugged(test, fakePlug());
    for (const size of [1, 1_026]) await assert.rejects(plug(rig, size), failsWith('EINVAL'));
    assert.deepEqual(askedOf(rig, 'update-memory-device'), []);
  });

  it('that does not answer ends the request at its limit, and libvirt’s refusal comes with its words', async (test) => {
    const { rig, domain } = await openPlugged(test, fakePlug());
    let release = (): void => undefined;
    domain.held = new Promise((resolve) => (release = resolve));
    const limit = new AbortController();
    const slow = plug(rig, 2, limit.signal);
    const overtaken = plug(rig, 6);
    const newest = plug(rig, 4);
    limit.abort();
    await assert.rejects(slow, failsWith('ETIMEDOUT', /512 pages/));
    await assert.rejects(overtaken, failsWith('EUNAVAILABLE', /newer/));
    release();
    await newest;
    assert.deepEqual(await growthMib(rig), [4, 4]);
    rig.libvirt.tamper = (line) =>
      line.startsWith('update') ? "\nerror: unknown command: 'update-memory-device'\n" : undefined;
    await assert.rejects(plug(rig, 8), failsWith('EIO', /asking to have 8192 KiB plugged in: .*unknown command/));
  });

  it('is waited for in each of its devices, also where one has been refused already', async (test) => {
    const { rig, domain } = await openPlugged(test, fakePlug({ size: 128 * MIB }), fakePlug({ alias: 'ua-more' }));
    let release = (): void => undefined;
    domain.held = new Promise((resolve) => (release = resolve));
    rig.libvirt.tamper = (line) =>
      line.includes('--alias virtiomem0') ? '\nerror: internal error: it is busy\n' : undefined;
    let isOver = false;
    const refused = assert.rejects(
      plug(rig, 192).finally(() => (isOver = true)),
      failsWith('EIO', /it is busy/),
    );
    // The second is sent when the first is answered.
    await until('both devices were asked', () => askedOf(rig, 'update-memory-device').length === 2);
    await rig.pass(1);
    assert.equal(isOver, false);
    release();
    await refused;
  });

  it('cannot grow any more when its device is detached', async (test) => {
    const { rig, domain } = await openPlugged(test, fakePlug());
    domain.plugs = [];
    rig.libvirt.emit('device-removed', 'one', 'virtiomem0');
    await rig.untilLog('came libvirt/one', 'changed libvirt/one');
    const changed = rig.notices.at(-1);
    assert.ok(changed?.kind === 'guest-changed' && changed.guest.capabilities.growthBlock === undefined);
    await assert.rejects(plug(rig, 2), failsWith('EPERM'));
    assert.equal((await rig.reading('libvirt/one')).growth, undefined);
  });

  it('without a balloon is only watched', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    rig.libvirt.add('one', { plugs: [fakePlug()], hasBalloon: false });
    rig.watch();
    await rig.untilLog('came libvirt/one');
    const [came] = rig.notices;
    assert.ok(came?.kind === 'guest-came' && came.guest.capabilities.growthBlock === undefined);
    await assert.rejects(plug(rig, 2), failsWith('EPERM'));
  });

  it('has its use counted without the balloon, whatever is plugged in', async (test) => {
    const { rig, domain } = await openPlugged(test, fakePlug({ requested: 512 * MIB, current: 512 * MIB }));
    Object.assign(domain, { current: 1_000 * MIB, lastUpdate: rig.seconds });
    domain.stats = { available: 1_500 * MIB, usable: 900 * MIB };
    const { used } = await rig.reading('libvirt/one');
    // Its total has fallen with the balloon; it keeps 1,000 MiB and has 512 plugged in.
    assert.ok(used.known && used.value === pagesOf(612));
    domain.stats = { available: 1_530 * MIB, usable: 900 * MIB };
    const { used: withBalloon } = await rig.reading('libvirt/one');
    // It counts the 24 MiB in the balloon as its own.
    assert.ok(withBalloon.known && withBalloon.value === pagesOf(612));
  });
});

describe('what is plugged into a domain', () => {
  it('is described once, and not again as long as nothing moves', async (test) => {
    const { rig, domain } = await openPlugged(test, fakePlug());
    Object.assign(domain, { lastUpdate: rig.seconds, stats: { available: 1_000 * MIB } });
    await rig.pass(1_001);
    await rig.reading('libvirt/one');
    const described = askedOf(rig, 'dumpxml').length;
    for (let looks = 0; looks < 20; looks += 1) {
      await rig.pass(1_000);
      await rig.reading('libvirt/one');
    }
    assert.equal(askedOf(rig, 'dumpxml').length, described);
    await rig.pass(10_000);
    await rig.reading('libvirt/one');
    assert.equal(askedOf(rig, 'dumpxml').length, described + 1);
  });

  it('is described anew at each look while it is on its way, and told apart from what the balloon gives', async (test) => {
    const device = fakePlug({ isObedient: false });
    const { rig, domain } = await openPlugged(test, device);
    domain.current = 700 * MIB;
    await plug(rig, 256);
    assert.deepEqual(await growthMib(rig), [0, 256]);
    // Without an event, and the sum stays what it was: one gives what the other takes.
    device.current = 128 * MIB;
    domain.current = 572 * MIB;
    const { current, growth } = await rig.reading('libvirt/one');
    assert.ok(current.known && current.value === pagesOf(700));
    assert.ok(growth?.plugged.known && growth.plugged.value === pagesOf(128));
  });

  it('is described anew when the sum is another, without any event', async (test) => {
    const device = fakePlug({ requested: 256 * MIB, current: 256 * MIB });
    const { rig } = await openPlugged(test, device);
    assert.deepEqual(await growthMib(rig), [256, 256]);
    Object.assign(device, { requested: 512 * MIB, current: 384 * MIB });
    assert.deepEqual(await growthMib(rig), [384, 512]);
  });

  it('is not known, nor is the whole, in a look in which it cannot be described', async (test) => {
    const device = fakePlug({ isObedient: false });
    const { rig } = await openPlugged(test, device);
    await plug(rig, 256);
    rig.libvirt.tamper = (line) => (line.startsWith('dumpxml') ? '<domain' : undefined);
    const { current, maximum, growth } = await rig.reading('libvirt/one');
    assert.ok(!current.known && !maximum.known && growth?.plugged.known === false);
    assert.equal(current.reason, 'unreadable');
    rig.libvirt.tamper = () => undefined;
    assert.deepEqual(await growthMib(rig), [0, 256]);
  });

  it('is not taken from another run of the domain', async (test) => {
    const device = fakePlug({ isObedient: false });
    const { rig, domain } = await openPlugged(test, device);
    await plug(rig, 256);
    domain.id += 1;
    const { current } = await rig.reading('libvirt/one');
    assert.ok(!current.known);
    await until('it has come anew', () => rig.log.join() === 'came libvirt/one,left libvirt/one,came libvirt/one');
  });
});
