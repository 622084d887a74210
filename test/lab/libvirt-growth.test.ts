/**
 * The program on a real libvirt with a real QEMU guest that has QEMU's guest agent and a virtio-mem device, under emulation. Protects
 * that such a guest is driven by what is committed in it, gets more than it was started with when it needs that, and gives it up again.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext } from 'node:test';
import type { PrivateLibvirtd } from '../../lab/libvirt/daemon.js';
import type { LibvirtGuest } from '../../lab/libvirt/guest.js';
import type { StepRecord } from '../../src/control/journal.js';
import { floorPages } from '../../src/policies/index.js';
import { parseZoneinfo } from '../../src/signals/index.js';
import { PAGES_PER_MIB } from '../../src/units.js';
import type { Host, ShownGuest } from './qemu/host.js';
import { libvirtSuite } from './qemu/suite.js';
import { lastRun } from './xen/journal.js';

const MEMORY_MIB = 512;
const PLUGGABLE_MIB = 768;
/** Twice that is more than it was started with. */
const NEED_MIB = 300;
/** Its floor was seen to be 158, of which its kernel manages 104. */
const FLOOR_BELOW_MIB = 200;

describe('on a host of a real libvirt with a guest that can grow', { concurrency: 1 }, () => {
  let libvirtd: PrivateLibvirtd;
  let guest: LibvirtGuest;
  let host: Host;
  const { test } = libvirtSuite(async (beginning) => {
    libvirtd = beginning.libvirtd;
    const sizes = { memoryMib: MEMORY_MIB, pluggableMib: PLUGGABLE_MIB };
    guest = await beginning.boot({ name: 'one', ...sizes, hasGuestAgent: true });
    host = beginning.hostOf([guest]);
  });

  const oomKills = async (): Promise<number> => (await guest.load.look()).count('oom_kill');
  const atFloor = (): Promise<ShownGuest> =>
    host.until('one', 'its floor by the law', ({ reason, phase, currentPages }) => {
      // How far its memory reaches, which the floor depends on, is not asked at every look.
      const isLow = (currentPages ?? Infinity) < FLOOR_BELOW_MIB * PAGES_PER_MIB;
      return isLow && reason?.code === 'at-floor' && phase === 'steady';
    });

  test('an idle guest goes to its floor by the law, on what its guest agent says is committed', async (t) => {
    host.start();
    await atFloor();
    await comesToTheLaw(t);
    assert.equal(await oomKills(), 0);
  });

  test('a guest that needs more than it was started with has it plugged in, and nobody is killed', async (t) => {
    const first = await guest.load.anonymous(NEED_MIB);
    await first.until('holds');
    // What is promised and not used yet is committed too.
    const promised = await guest.load.commit(NEED_MIB);
    await promised.until('holds');
    const grown = await host.until(
      'one',
      'a guest that holds more than its boot memory',
      ({ currentPages, reading }) =>
        (currentPages ?? 0) > 2 * NEED_MIB * PAGES_PER_MIB &&
        (reading?.pluggedPages ?? 0) > 0 &&
        reading?.pluggedPages === reading?.plugAskedPages,
    );
    const second = await guest.load.anonymous(NEED_MIB);
    assert.equal((await second.until('holds')).mib, NEED_MIB);
    const { pluggedPages, pluggablePages } = grown.reading ?? assert.fail();
    assert.equal(pluggablePages, PLUGGABLE_MIB * PAGES_PER_MIB);
    assert.ok((await pluggedKib()) / 4 >= (pluggedPages ?? Infinity));
    t.diagnostic(`it holds ${mibOf(grown.currentPages ?? 0)} MiB, ${mibOf(pluggedPages ?? 0)} plugged in`);
    isNotSwinging();
    assert.equal(await oomKills(), 0);
    for (const load of [first, promised, second]) await load.release();
  });

  test('it gives up what was plugged in when it needs it no more, and its balloon does the rest', async (t) => {
    const shown = await atFloor();
    const { reading } = shown;
    assert.deepEqual([reading?.pluggedPages, reading?.plugAskedPages], [0, 0]);
    await comesToTheLaw(t);
    assert.equal(await pluggedKib(), 0);
    await host.end('SIGTERM');
    assert.match(host.log, /gave everything back/);
    assert.equal(await oomKills(), 0);
  });

  /** What it is to have is its floor, worked out here from what its kernel says; the daemon asks for that once a minute. */
  async function comesToTheLaw(t: TestContext): Promise<void> {
    const { maxPfn, reserve } = parseZoneinfo(await guest.run('cat /proc/zoneinfo'), null);
    assert.ok(maxPfn.known && reserve.known);
    const floor = floorPages(maxPfn.value, reserve.value, 0);
    const shown = await host.until('one', 'the target of the law', ({ reading, currentPages, targetPages }) => {
      const { totalPages, committedPages } = reading ?? { totalPages: null, committedPages: null };
      if (totalPages === null || committedPages === null || currentPages === null) return false;
      return committedPages < floor && targetPages === floor + currentPages - totalPages;
    });
    t.diagnostic(`it holds ${mibOf(shown.currentPages ?? 0)} MiB, its kernel has pages up to ${maxPfn.value}`);
  }

  /** It only ever needed more: whoever asks for less in between has taken what is on its way for something else. */
  function isNotSwinging(): void {
    const asked = lastRun(host.journal).steps.flatMap(growthsIn);
    assert.ok(asked.length > 0);
    const less = asked.filter((size, place) => size < (asked[place - 1] ?? 0));
    assert.deepEqual(less, [], `asked to have plugged in, one after another: ${asked.map(mibOf).join(', ')} MiB`);
  }

  /** By libvirt's own word. */
  async function pluggedKib(): Promise<number> {
    const [, text] = /<current unit='KiB'>(\d+)</.exec(await libvirtd.virsh('dumpxml', 'one')) ?? [];
    return Number(text);
  }
});

const growthsIn = ({ actions }: StepRecord): readonly number[] =>
  actions.flatMap((action) => (action.kind === 'set-growth' ? [action.plugged] : []));
const mibOf = (count: number): number => Math.round(count / PAGES_PER_MIB);
