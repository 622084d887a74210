/** A Xen guest's kernel in a folder: its files, and what swapon and swapoff do to them. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { SelfballoonError } from '../../src/errors.js';
import type { SwapCalls } from '../../src/overflow/index.js';
import { fixture } from '../support/paths.js';

const XEN_MEMORY = 'sys/devices/system/xen_memory/xen_memory0';

/** A guest of 256 MiB whose kernel manages 232 MiB. */
export class XenGuestRoot implements SwapCalls {
  readonly path = mkdtempSync(join(tmpdir(), 'xen-guest-place-'));
  readonly calls: string[] = [];
  readonly on = new Set<string>();
  /** Size of each stripe. */
  stripeMib = 128;
  /** Pages in each stripe. */
  used = 0;
  /** Other swap than the stripes. */
  otherSwapMib = 0;
  /** What the guest holds reads as nothing that makes sense, for whoever shows it. */
  isUnreadable = false;
  /** Devices that cannot be switched on. */
  readonly broken = new Set<string>();

  constructor(test: TestContext) {
    cpSync(fixture('xen-guest'), this.path, { recursive: true });
    test.after(() => {
      rmSync(this.path, { recursive: true });
    });
    this.show();
  }

  put(file: string, text: string): void {
    writeFileSync(join(this.path, file), text);
  }

  putBalloon(attribute: string, text: string): void {
    this.put(join(XEN_MEMORY, attribute), text);
  }

  get target(): string {
    return readFileSync(join(this.path, XEN_MEMORY, 'target_kb'), 'utf8');
  }

  show(available = 47_628): void {
    const kib = this.stripeMib * 1024;
    const lines = [...this.on].map((name, at) => `${name} partition\t${kib}\t${this.used * 4}\t${100 - at}\n`);
    this.put('proc/swaps', `Filename\t\tType\t\tSize\t\tUsed\t\tPriority\n${lines.join('')}`);
    const swapTotal = this.on.size * kib + this.otherSwapMib * 1024;
    const meminfo = readFileSync(fixture('xen-guest', 'proc', 'meminfo'), 'utf8')
      .replace(/SwapTotal: .*/, `SwapTotal: ${swapTotal} kB`)
      .replace(/SwapFree: .*/, `SwapFree: ${swapTotal} kB`)
      .replace(/MemAvailable: .*/, `MemAvailable: ${available * 4} kB`);
    this.put('proc/meminfo', meminfo);
  }

  swapOn(device: string): Promise<void> {
    this.calls.push(`on ${device}`);
    if (this.broken.has(device)) {
      return Promise.reject(new SelfballoonError({ code: 'ENOENT', message: `swapon of ${device} failed: ENOENT` }));
    }
    this.on.add(device);
    this.show();
    return Promise.resolve();
  }

  swapOff(device: string): Promise<void> {
    this.calls.push(`off ${device}`);
    this.on.delete(device);
    this.show();
    return Promise.resolve();
  }
}
