/**
 * A guest in which nothing of ours runs, and which writes one number as Qubes' guests do. Protects that a host follows that number both
 * ways.
 */
import assert from 'node:assert/strict';
import { after, describe } from 'node:test';
import type { Daemon } from '../../../lab/xen/daemon.js';
import type { Dom0 } from '../../../lab/xen/dom0.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { waitFor } from '../../../lab/xen/shell.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import { decidedIn, lastRun, ofGuest, valueOf, type Decided } from './journal.js';
import type { XenWorld } from './world.js';

const KIB = 1024;
const NODE = 'memory/meminfo';
/** Of xenstore's protocol. */
const WRITE = 11;
/** What Qubes' memory manager prefers for a guest: 1.3 times what is used, and this at least. */
const PREFERRED_MIB_MIN = 200;
const LITTLE_MIB = 120;
const MUCH_MIB = 260;

export interface UsedMemoryOptions {
  /** The daemon in dom0, with its divisor of what is given up. */
  readonly host: () => Daemon;
  readonly downhysteresis: number;
  /** A guest with more than it will say it needs. */
  readonly guest: () => XenGuest;
  /** What the host can promise, and nobody else was promised. */
  readonly spareMib: () => Promise<number>;
}

/** Lets a guest write the node in its own folder, as Qubes' toolstack does when it starts one. */
export async function allowUsedNode(dom0: Dom0, { domain }: XenGuest): Promise<void> {
  const node = `/local/domain/${domain}/${NODE}`;
  await dom0.run(`xenstore-write ${node} '' && xenstore-chmod ${node} n${domain}`);
}

export function usedMemory(world: XenWorld, { host, downhysteresis, guest, spareMib }: UsedMemoryOptions): void {
  describe('a guest without a reporter', { concurrency: 1 }, () => {
    const id = (): string => `xen-host/${guest().name}:${guest().domain}`;
    const decided = async (): Promise<readonly Decided[]> => decidedIn(ofGuest(lastRun(await host().journal()), id()));

    /** The first decision on that number. */
    const decidedOn = (usedMib: number): Promise<Decided> =>
      waitFor({ what: `a decision on ${usedMib} MiB in use`, limitMs: 60_000 }, async () => {
        const made = await decided();
        return made.find(({ decision }) => decision.reason.numbers['used'] === usedMib * PAGES_PER_MIB) ?? null;
      });

    world.it(
      'is left alone until it writes what it uses, and then gives up what Qubes would have it give',
      async () => {
        const untold = await decided();
        assert.ok(untold.length > 0);
        assert.ok(untold.every(({ decision }) => decision.target === null));
        const before = await guest().heldKib();
        await sayUsed(guest(), LITTLE_MIB);
        const { decision, reading } = await decidedOn(LITTLE_MIB);
        const current = valueOf(reading.current);
        const goal = PREFERRED_MIB_MIN * PAGES_PER_MIB;
        assert.equal(decision.goal, goal);
        assert.ok(Math.abs((decision.target ?? NaN) - (current - (current - goal) / downhysteresis)) <= 1);
        await waitFor({ what: 'less in the guest', limitMs: 60_000 }, async () =>
          (await guest().heldKib()) < (before + PREFERRED_MIB_MIN * KIB) / 2 ? true : null,
        );
      },
    );

    world.it('is given at once what Qubes would have it get when it uses more', async () => {
      const needed = (MUCH_MIB * 13) / 10 - PREFERRED_MIB_MIN;
      await waitFor({ what: `${needed} MiB that others gave`, limitMs: 400_000 }, async () =>
        (await spareMib()) > needed ? true : null,
      );
      await sayUsed(guest(), MUCH_MIB);
      const { goal, target } = (await decidedOn(MUCH_MIB)).decision;
      assert.equal(goal, Math.floor((MUCH_MIB * PAGES_PER_MIB * 13) / 10));
      assert.equal(target, goal);
      await waitFor({ what: 'more in the guest', limitMs: 60_000 }, async () =>
        (await guest().heldKib()) >= Math.floor((MUCH_MIB * 13) / 10) * KIB - KIB ? true : null,
      );
    });

    after(async () => {
      // What it has would be missing to those after it.
      if (world.isBooted()) await guest().destroy();
    });
  });
}

/** Written by the guest itself through the kernel's device, for which it needs no program. */
async function sayUsed(guest: XenGuest, usedMib: number): Promise<void> {
  const value = String(usedMib * KIB);
  const words = [WRITE, 0, 0, NODE.length + 1 + value.length].map(littleEndian).join('');
  await guest.run(`printf '${words}${NODE}\\000${value}' > /dev/xen/xenbus`);
}

/** A number of 4 bytes as `printf` of a shell takes it. */
function littleEndian(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return Array.from(bytes, (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
}
