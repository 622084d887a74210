/** Protects what is seen of libvirt's domains and asked of them: in one call for all, one domain not hurting the others. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/errors.js';
import { guestSize, mib, mibToPages, pages } from '../../../src/units.js';
import { until } from '../../qmp/support/opened.js';
import { domainOf, openRig, Rig } from './support/rig.js';

const NEVER = new AbortController().signal;
const MIB = 1_024;
const failsWith =
  (code: string, message = /./) =>
  (error: unknown): boolean =>
    error instanceof HypervisorError && error.code === code && message.test(error.message);

describe('a round', () => {
  it('is one question for all domains, also for several who look at once', async (test) => {
    const rig = await openRig(test, 'one', 'two', 'three');
    const count = (): number => rig.libvirt.asked.filter((line) => line.startsWith('domstats')).length;
    const outcomes = await rig.look(['libvirt/one', 'libvirt/two', 'libvirt/three']);
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['host-reading', 'reading', 'reading', 'reading'],
    );
    assert.equal(count(), 1);
    await Promise.all([rig.look(['libvirt/one']), rig.look(['libvirt/two'])]);
    assert.equal(count(), 2);
  });

  it('is looked again at once where the first look hung, and fails for all where the second does', async (test) => {
    const rig = await openRig(test, 'one');
    rig.connection.looksHang = 1;
    assert.ok((await rig.reading('libvirt/one')).current.known);
    rig.connection.looksHang = 2;
    const [, failed] = await rig.look(['libvirt/one']);
    assert.ok(failed?.kind === 'reading-failed');
    assert.deepEqual([failed.error.code, failed.error.guest], ['ETIMEDOUT', 'libvirt/one']);
  });
});

describe('a reading', () => {
  it('is what the guest said, in pages, at the time at which it said so', async (test) => {
    const rig = await openRig(test, 'one');
    await rig.pass(10_000);
    Object.assign(domainOf(rig, 'one'), {
      lastUpdate: rig.seconds - 3,
      stats: { available: 1_000 * MIB, usable: 600 * MIB, unused: 100 * MIB, disk_caches: 400 * MIB },
    });
    const { total, available, free, used, cached, current, maximum } = await rig.reading('libvirt/one');
    assert.deepEqual(total, { known: true, value: 256_000, at: 7_000 });
    assert.ok(available.known && available.value === 153_600);
    assert.ok(free.known && free.value === 25_600);
    // Of 1,024 MiB that it keeps, of which its kernel manages 1,000.
    assert.ok(used.known && used.value === 108_544);
    assert.ok(cached.known && cached.value === 102_400);
    assert.deepEqual([current, maximum], Array(2).fill({ known: true, value: 262_144, at: 10_000 }));
  });

  it('of a guest that is being made smaller uses no more for libvirt’s hearing of that late', async (test) => {
    const rig = await openRig(test, 'one');
    const one = domainOf(rig, 'one');
    const used = async (current: number, usable: number): Promise<number> => {
      await rig.pass(1_000);
      const stats = { available: (current - 54) * MIB, usable: usable * MIB, unused: usable * MIB };
      Object.assign(one, { current: current * MIB, lastUpdate: rig.seconds, stats });
      const signal = (await rig.reading('libvirt/one')).used;
      return signal.known ? signal.value / 256 : NaN;
    };
    assert.equal(await used(512, 420), 92);
    await rig.host.setTarget('libvirt/one', guestSize(mibToPages(mib(200))), NEVER);
    // The guest is there and says so, and libvirt has heard of its first step alone.
    assert.equal(await used(511, 108), 92);
    assert.equal(await used(200, 108), 92);
    // One that stays where it is, and needs all of it, does.
    await rig.host.setTarget('libvirt/one', guestSize(mibToPages(mib(190))), NEVER);
    for (let second = 0; second < 3; second += 1) await used(200, 8);
    assert.equal(await used(200, 8), 192);
  });

  it('of a guest that takes long to be made smaller uses no more for that either', async (test) => {
    const rig = await openRig(test, 'one');
    const one = domainOf(rig, 'one');
    // Its QEMU is not heard but through libvirt, a second late.
    rig.libvirt.tamper = (line) => (/^dommemstat \S+$/.test(line) ? '\nerror: internal error: no\n' : undefined);
    const used = async (heard: number, keeps: number): Promise<number> => {
      await rig.pass(1_000);
      const stats = { available: (keeps - 54) * MIB, usable: (keeps - 92) * MIB, unused: (keeps - 92) * MIB };
      Object.assign(one, { current: keeps * MIB, heard: heard * MIB, lastUpdate: rig.seconds, stats });
      const signal = (await rig.reading('libvirt/one')).used;
      return signal.known ? signal.value / 256 : NaN;
    };
    assert.equal(await used(900, 900), 92);
    await rig.host.setTarget('libvirt/one', guestSize(mibToPages(mib(200))), NEVER);
    for (let keeps = 800; keeps >= 200; keeps -= 100)
      assert.equal(await used(keeps + 100, keeps), 92, `at ${keeps} MiB`);
  });

  it('of a guest that has never reported knows what it holds, and nothing else', async (test) => {
    const rig = await openRig(test, 'one');
    const { total, used, current } = await rig.reading('libvirt/one');
    assert.ok(!total.known && total.reason === 'not-reported');
    assert.ok(!used.known && current.known);
  });

  it('of a domain whose QEMU is stopped says so, and that is not the guest’s silence', async (test) => {
    const rig = await openRig(test, 'one');
    Object.assign(domainOf(rig, 'one'), { lastUpdate: null });
    const { total } = await rig.reading('libvirt/one');
    assert.ok(!total.known && total.reason === 'unreadable' && /stopped or busy/.test(total.detail));
    domainOf(rig, 'one').state = 3;
    const paused = (await rig.reading('libvirt/one')).total;
    assert.ok(!paused.known && /paused/.test(paused.detail));
  });

  it('of one that is not there fails alone', async (test) => {
    const rig = await openRig(test, 'one');
    const [, failed, read] = await rig.look(['libvirt/none', 'libvirt/one']);
    assert.ok(failed?.kind === 'reading-failed' && failed.error.code === 'EGONE');
    assert.equal(read?.kind, 'reading');
  });
});

describe('a domain that is reset', () => {
  it('is asked for all but a page of an empty balloon, so that its new driver has something to say', async (test) => {
    const rig = await openRig(test, 'one');
    const one = domainOf(rig, 'one');
    one.current = 300 * MIB;
    assert.ok((await rig.reading('libvirt/one')).current.known);
    const whole = guestSize(pages(one.memory / 4));
    rig.libvirt.emitPlain('reboot', 'one');
    await rig.untilLog('came libvirt/one', 'alarm libvirt/one');
    await rig.host.setTarget('libvirt/one', whole, NEVER);
    assert.equal(one.target, one.memory - 4);
    await rig.pass(2_000);
    assert.ok((await rig.reading('libvirt/one')).current.known);
    // It has spoken: from now on an empty balloon is asked for as ever.
    await rig.host.setTarget('libvirt/one', whole, NEVER);
    assert.equal(one.target, one.memory);
  });
});

describe('a target', () => {
  it('goes to libvirt in KiB, as what the guest is to keep', async (test) => {
    const rig = await openRig(test, 'one');
    const one = domainOf(rig, 'one');
    await rig.host.setTarget('libvirt/one', guestSize(mibToPages(mib(700))), NEVER);
    assert.equal(rig.libvirt.asked.at(-1), `setmem ${one.uuid} 716800 --live`);
    const { current, asked } = await rig.reading('libvirt/one');
    assert.ok(current.known && current.value === 179_200);
    assert.ok(asked.known && asked.value === 179_200);
  });

  it('of nothing is never asked for, nor one of a domain without a balloon', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    rig.libvirt.add('one');
    rig.libvirt.add('bare', { hasBalloon: false });
    rig.watch();
    await rig.untilLog('came libvirt/one', 'came libvirt/bare');
    const bare = rig.notices.at(-1);
    assert.ok(bare?.kind === 'guest-came' && !bare.guest.capabilities.canSetTarget);
    const { current, maximum } = await rig.reading('libvirt/bare');
    assert.ok(!current.known && maximum.known);
    await assert.rejects(rig.host.setTarget('libvirt/one', guestSize(pages(0)), NEVER), failsWith('EINVAL'));
    await assert.rejects(rig.host.setTarget('libvirt/bare', guestSize(pages(9)), NEVER), failsWith('EPERM', /balloon/));
    assert.ok(!rig.libvirt.asked.some((line) => line.startsWith('setmem')));
  });

  it('that has no answer ends at its limit, and others are set meanwhile', async (test) => {
    const rig = await openRig(test, 'one', 'two');
    let release = (): void => undefined;
    domainOf(rig, 'one').held = new Promise((resolve) => (release = resolve));
    const limit = new AbortController();
    const slow = rig.host.setTarget('libvirt/one', guestSize(pages(1_000)), limit.signal);
    await rig.host.setTarget('libvirt/two', guestSize(pages(2_000)), NEVER);
    limit.abort();
    await assert.rejects(slow, failsWith('ETIMEDOUT', /stopped/));
    assert.equal(domainOf(rig, 'two').target, 8_000);
    release();
    await until('it was set late', () => domainOf(rig, 'one').target === 4_000);
  });

  it('that was given up while it waited for the one before is not asked for any more', async (test) => {
    const rig = await openRig(test, 'one');
    let release = (): void => undefined;
    domainOf(rig, 'one').held = new Promise((resolve) => (release = resolve));
    const first = rig.host.setTarget('libvirt/one', guestSize(pages(1_000)), NEVER);
    const limit = new AbortController();
    const second = rig.host.setTarget('libvirt/one', guestSize(pages(2_000)), limit.signal);
    limit.abort();
    await assert.rejects(second, failsWith('ETIMEDOUT'));
    release();
    await first;
    const { asked } = await rig.reading('libvirt/one');
    assert.ok(asked.known && asked.value === 1_000);
    assert.equal(rig.libvirt.asked.filter((line) => line.startsWith('setmem')).length, 1);
  });

  it('of a domain that did not answer its last look goes apart from others, until it answers', async (test) => {
    const rig = await openRig(test, 'one', 'two');
    const [one, two] = [domainOf(rig, 'one'), domainOf(rig, 'two')];
    const setBoth = async (): Promise<void> => {
      await rig.look(['libvirt/one', 'libvirt/two']);
      for (const name of ['one', 'two']) await rig.host.setTarget(`libvirt/${name}`, guestSize(pages(1_000)), NEVER);
    };
    one.lastUpdate = null;
    await setBoth();
    assert.deepEqual(rig.connection.apart, [`setmem ${one.uuid} 4000 --live`]);
    assert.deepEqual([one.target, two.target], [4_000, 4_000]);
    one.lastUpdate = 0;
    await setBoth();
    assert.equal(rig.connection.apart.length, 1);
  });

  it('of one without statistics for having no QEMU that answers does not hold up the end for others', async (test) => {
    const rig = await openRig(test, 'one', 'two');
    domainOf(rig, 'one').lastUpdate = null;
    await rig.look(['libvirt/one', 'libvirt/two']);
    await rig.host.close();
    assert.deepEqual(rig.connection.apart, [`dommemstat ${domainOf(rig, 'one').uuid} --period 0 --live`]);
    assert.equal(domainOf(rig, 'two').period, 0);
  });

  it('that libvirt refuses fails with its words', async (test) => {
    const rig = await openRig(test, 'one');
    const tooMuch = rig.host.setTarget('libvirt/one', guestSize(pages(2 ** 30)), NEVER);
    await assert.rejects(tooMuch, failsWith('EIO', /asking for 4294967296 KiB: .*higher than max memory/));
  });

  it('has nowhere to go while libvirtd is away', async (test) => {
    const rig = await openRig(test, 'one');
    rig.isUp = false;
    rig.connection.lose();
    await until('it is told', () => rig.told.length === 1);
    const lost = rig.host.setTarget('libvirt/one', guestSize(pages(1_000)), NEVER);
    await assert.rejects(lost, failsWith('EUNAVAILABLE', /no connection to libvirt: libvirtd was stopped/));
  });
});
