/** A host's folder in which this process, whose the fakes' sockets are, is a QEMU with so much memory. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryFolder } from '../../../server/fakes.js';
import { fixture } from '../../../support/paths.js';

export function hostFolder(test: TestContext, residentMib: number): string {
  const root = temporaryFolder(test);
  const own = join(root, 'proc', String(process.pid));
  mkdirSync(own, { recursive: true });
  copyFileSync(join(fixture('xen-guest'), 'proc', 'meminfo'), join(root, 'proc', 'meminfo'));
  setResident(root, residentMib);
  return root;
}

/** The QEMU has so much from now on. */
export function setResident(root: string, residentMib: number): void {
  setProcess(root, process.pid, { residentMib });
}

interface Kept {
  readonly hugeMib?: number;
  readonly lockedMib?: number;
  readonly pinnedMib?: number;
}

/** The QEMU has 60 MiB of ordinary memory, and so much that stays with it. */
export function setMemory(root: string, { hugeMib = 0, lockedMib = 0, pinnedMib = 0 }: Kept): void {
  const [ordinary, huge, locked, pinned] = [60, hugeMib, lockedMib, pinnedMib].map((mib) => mib * 1_024);
  const lines = [`VmLck:\t${locked} kB`, `VmPin:\t${pinned} kB`, `VmRSS:\t${ordinary} kB`, `HugetlbPages:\t${huge} kB`];
  writeFileSync(join(root, 'proc', String(process.pid), 'status'), `Name:\tqemu-system-x86\n${lines.join('\n')}\n`);
}

interface Process {
  /** By default a QEMU's. */
  readonly name?: string;
  readonly residentMib?: number;
  /** What it was started as. */
  readonly command?: string;
}

/** There is such a process from now on. */
export function setProcess(root: string, pid: number, process: Process): void {
  const { name = 'qemu-system-x86', residentMib = 60, command } = process;
  const folder = join(root, 'proc', String(pid));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'status'), `Name:\t${name}\nVmRSS:\t${residentMib * 1_024} kB\n`);
  if (command !== undefined) writeFileSync(join(folder, 'cmdline'), `${command}\0-nodefaults\0`);
}
