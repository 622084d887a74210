/**
 * The program on a real libvirt with a real QEMU guest, under emulation. Protects that a guest which does nothing gives memory to its
 * host, that one which needs memory gets it, and that neither a libvirtd that is killed, a QEMU that stops nor a daemon that dies leaves
 * anybody small.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PrivateLibvirtd } from '../../lab/libvirt/daemon.js';
import type { LibvirtGuest } from '../../lab/libvirt/guest.js';
import { PAGES_PER_MIB } from '../../src/units.js';
import type { Host } from './qemu/host.js';
import { libvirtSuite } from './qemu/suite.js';
import { lastRun, targetsIn } from './xen/journal.js';

const MEMORY_MIB = 512;
/** Used once and free again before anything is taken, so that the emulator holds it. */
const TOUCHED_MIB = 250;
const NEED_MIB = 300;
/** The rule leaves every guest so much (policies/used-memory.ts). */
const LEAST_MIB = 200;
/** An idle guest uses some MiB now and then. */
const RISE_MIB = 24;
const LOOK_PAUSE_MS = 250;
/** An emulated guest that must have its memory back first takes its time. */
const FILL_LIMIT_MS = 400_000;

describe('on a host of a real libvirt', { concurrency: 1 }, () => {
  let libvirtd: PrivateLibvirtd;
  let guest: LibvirtGuest;
  let host: Host;
  const { test } = libvirtSuite(async (beginning) => {
    libvirtd = beginning.libvirtd;
    guest = await beginning.boot({ name: 'one', memoryMib: MEMORY_MIB });
    await fill('touched', TOUCHED_MIB);
    await guest.run('umount /touched');
    host = beginning.hostOf([guest]);
  });

  const oomKills = async (): Promise<number> =>
    Number(/^oom_kill (\d+)/m.exec(await guest.run('cat /proc/vmstat'))?.[1]);
  const untilSmall = (): Promise<unknown> =>
    host.until('one', 'a small guest', ({ currentPages }) => (currentPages ?? Infinity) <= pagesOf(LEAST_MIB + 2));

  test('an idle guest goes down to what the rule leaves it, and its host has the memory', async (t) => {
    const before = guest.memory.residentMib;
    host.start();
    await untilSmall();
    const after = guest.memory.residentMib;
    t.diagnostic(`the emulator holds ${Math.round(before)} MiB before and ${Math.round(after)} MiB after`);
    assert.ok(before - after > 50);
    assert.equal(await oomKills(), 0);
    // libvirt hears late of a balloon that moves: what was given up must not look like use.
    const targets = lastRun(host.journal).steps.flatMap(targetsIn);
    const rises = targets.filter(
      ({ target }, place) => target > (targets[place - 1]?.target ?? Infinity) + pagesOf(RISE_MIB),
    );
    assert.deepEqual(rises, []);
    assert.match(await libvirtd.virsh('dumpxml', 'one'), /<stats period='1'\/>/);
  });

  test('a demand of more than is left is met, and nobody is killed', async () => {
    await fill('need', NEED_MIB);
    assert.equal(await oomKills(), 0);
    await host.until('one', 'a large guest', ({ currentPages }) => (currentPages ?? 0) >= pagesOf(NEED_MIB * 1.2));
    await guest.run('umount /need');
    await untilSmall();
  });

  test('a libvirtd that is killed takes nobody with it, and the guest is driven on when there is one again', async () => {
    await libvirtd.kill();
    await host.until('one', 'a guest that cannot be read', ({ phase }) => phase === 'unreadable');
    await fill('meanwhile', NEED_MIB / 2);
    await libvirtd.run();
    await host.until('one', 'a larger guest', ({ currentPages }) => (currentPages ?? 0) >= pagesOf(LEAST_MIB + 10));
    await guest.run('umount /meanwhile');
    await untilSmall();
    assert.match(host.log, /connection to libvirt at .* is lost/);
    assert.match(host.log, /libvirt at .* is connected to again/);
    assert.equal(host.log.match(/libvirt\/one: found/g)?.length, 1);
    assert.equal(await oomKills(), 0);
  });

  test('a QEMU that is stopped is held, and decided about again when it goes on', async () => {
    guest.signal('SIGSTOP');
    await host.until('one', 'a guest of whom nothing is known', ({ reason }) => reason?.code === 'signal-unknown');
    guest.signal('SIGCONT');
    await host.until('one', 'a guest that is known', ({ reason }) => reason?.code !== 'signal-unknown');
  });

  test('a daemon that is killed leaves a guest that release makes whole without one', async () => {
    await host.end('SIGKILL');
    assert.ok((await heldMib()) < MEMORY_MIB / 2);
    const { code, output } = await host.ask('release');
    assert.equal(code, 0, output);
    assert.match(output, /1 guest was told to take back/);
    await untilWhole();
  });

  test('a daemon that is told to end gives everything back, and its statistics', async () => {
    await libvirtd.virsh('dommemstat', 'one', '--period', '7', '--live');
    host.start();
    await untilSmall();
    await host.end('SIGTERM');
    assert.match(host.log, /gave everything back/);
    await untilWhole();
    assert.match(await libvirtd.virsh('dumpxml', 'one'), /<stats period='7'\/>/);
  });

  /** Makes a file of that size in memory. */
  async function fill(name: string, mib: number): Promise<void> {
    await guest.run(`mkdir -p /${name} && mount -t tmpfs -o size=${mib + 10}m ${name} /${name}`);
    await guest.run(`dd if=/dev/zero of=/${name}/file bs=1M count=${mib}`, FILL_LIMIT_MS);
  }

  /** By libvirt's own word. */
  async function heldMib(): Promise<number> {
    const text = await libvirtd.virsh('domstats', '--balloon', 'one');
    return Number(/^ {2}balloon\.current=(\d+)$/m.exec(text)?.[1]) / 1_024;
  }

  async function untilWhole(): Promise<void> {
    for (let tries = 0; (await heldMib()) < MEMORY_MIB; tries += 1) {
      assert.ok(tries < 240, 'it is not whole');
      await sleep(LOOK_PAUSE_MS);
    }
  }
});

const pagesOf = (mib: number): number => mib * PAGES_PER_MIB;
