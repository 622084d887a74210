/** The kernel as the swap stripes see it: two files under a folder, and the two calls. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { known } from '../../src/control/signal.js';
import { openSwapStripes, type SwapStripes, type SwapStripesOptions } from '../../src/overflow/swap-stripes.js';
import type { SwapCalls } from '../../src/overflow/swap-calls.js';
import { millis, pages } from '../../src/units.js';

/** Opens stripes on that kernel; nothing is kept free unless `more` says so. */
export const openStripesOn = (
  kernel: StripeKernel,
  devices: readonly string[],
  more: Partial<SwapStripesOptions> = {},
): Promise<SwapStripes> =>
  openSwapStripes({
    devices,
    root: kernel.root,
    reservePages: pages(500),
    floorPages: () => known(pages(0)),
    swap: kernel,
    now: () => millis(kernel.now),
    ...more,
  });

export interface Area {
  used: number;
  priority: number;
}

/** A kernel in a folder: what it says of swap and memory, and what the two calls do to it. Pages of 4 KiB. */
export class StripeKernel implements SwapCalls {
  readonly root = mkdtempSync(join(tmpdir(), 'swap-stripes-'));
  readonly areas = new Map<string, Area>();
  available = 100_000;
  now = 0;
  readonly calls: string[] = [];
  /** Runs in the middle of a call, before it takes effect. */
  during: (call: string) => Promise<void> | void = () => undefined;

  constructor(areas: readonly (readonly [string, Area])[]) {
    mkdirSync(join(this.root, 'proc'));
    for (const [device, area] of areas) this.areas.set(device, area);
    this.show();
  }

  show(): void {
    const lines = [...this.areas].map(
      ([device, { used, priority }]) => `${device} partition\t${8192 * 4}\t\t${used * 4}\t\t${priority}\n`,
    );
    writeFileSync(join(this.root, 'proc/swaps'), `Filename\t\tType\t\tSize\t\tUsed\t\tPriority\n${lines.join('')}`);
    writeFileSync(join(this.root, 'proc/meminfo'), `MemTotal: 8000000 kB\nMemAvailable: ${this.available * 4} kB\n`);
  }

  /** A process begins, with these words as its command line. */
  run(pid: string, ...words: readonly string[]): void {
    mkdirSync(join(this.root, 'proc', pid));
    writeFileSync(join(this.root, 'proc', pid, 'comm'), `${basename(words[0] ?? '')}\n`);
    writeFileSync(join(this.root, 'proc', pid, 'cmdline'), words.map((word) => `${word}\0`).join(''));
  }

  end(pid: string): void {
    rmSync(join(this.root, 'proc', pid), { recursive: true, force: true });
  }

  async swapOff(device: string): Promise<void> {
    this.calls.push(`off ${device}`);
    await this.during(`off ${device}`);
    const area = this.areas.get(device);
    assert.ok(area, `${device} is not on`);
    this.available -= area.used;
    this.areas.delete(device);
    this.now += 1500;
    this.show();
  }

  async swapOn(device: string, priority: number): Promise<void> {
    this.calls.push(`on ${device} ${priority}`);
    await this.during(`on ${device}`);
    assert.ok(!this.areas.has(device), `${device} is on already`);
    this.areas.set(device, { used: 0, priority });
    this.show();
  }
}
