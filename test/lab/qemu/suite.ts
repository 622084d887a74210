/** Guests of the QEMU lab for one suite: booted when its tests begin, ended when they are over. */
import { rm } from 'node:fs/promises';
import { after, before, it, type TestContext } from 'node:test';
import { labMode, requireReady, skipReason } from '../../../lab/mode.js';
import { QemuGuest, type QemuGuestOptions } from '../../../lab/qemu/guest.js';
import { findQemuLab } from '../../../lab/qemu/marker.js';
import { makeRunFolder } from '../../../lab/run-folder.js';

/** For a single test; the waits within it have shorter ones. */
const TEST_LIMIT_MS = 300_000;

const state = findQemuLab();
const skip = skipReason(labMode(process.env), state);

/** What a suite's beginning has to work with. */
export interface Beginning {
  /** Of this run, for sockets, disks and logs. */
  readonly folder: string;
  readonly boot: (options: Omit<QemuGuestOptions, 'folder'>) => Promise<QemuGuest>;
  /** What is to be ended after the last test, the newest first: also where the beginning fails half way. */
  readonly atEnd: (end: () => Promise<void>) => void;
}

export interface QemuSuite {
  /** A test in the lab; where that is left out it is skipped. */
  readonly test: (name: string, body: (t: TestContext) => Promise<void>) => void;
}

/** To be called in the suite's describe block. `begin` makes what its tests need, and is not called where the lab is left out. */
export function qemuSuite(begin: (beginning: Beginning) => Promise<void>): QemuSuite {
  const ends: (() => Promise<void>)[] = [];
  before(async () => {
    if (skip !== false) return;
    const folder = makeRunFolder('selfballoon-qemu');
    const atEnd = (end: () => Promise<void>): void => void ends.unshift(end);
    atEnd(() => rm(folder, { recursive: true }));
    const boot = async (options: Omit<QemuGuestOptions, 'folder'>): Promise<QemuGuest> => {
      const guest = await QemuGuest.boot(requireReady(state), { ...options, folder });
      atEnd(() => guest.close());
      return guest;
    };
    await begin({ folder, boot, atEnd });
  });
  after(async () => {
    for (const end of ends) await end();
  });
  return {
    test: (name, body) => {
      void it(name, { skip, timeout: TEST_LIMIT_MS }, body);
    },
  };
}
