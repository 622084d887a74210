/** Guests of the QEMU and libvirt labs for one suite: booted when its tests begin, ended when they are over. */
import { rm } from 'node:fs/promises';
import { after, before, it, type TestContext } from 'node:test';
import { PrivateLibvirtd } from '../../../lab/libvirt/daemon.js';
import { LibvirtGuest } from '../../../lab/libvirt/guest.js';
import { copyImages, findLibvirtLab } from '../../../lab/libvirt/images.js';
import { labMode, requireReady, skipReason, type LabState } from '../../../lab/mode.js';
import { QemuGuest } from '../../../lab/qemu/guest.js';
import type { QemuImages } from '../../../lab/qemu/images.js';
import type { LabGuest } from '../../../lab/qemu/lab-guest.js';
import { describeMachine, type QemuGuestOptions } from '../../../lab/qemu/machine.js';
import { findQemuLab } from '../../../lab/qemu/marker.js';
import { makeRunFolder } from '../../../lab/run-folder.js';
import { Host, type HostOptions } from './host.js';
import { lastSteps } from './last-steps.js';

/** For a single test; the waits within it have shorter ones. */
const TEST_LIMIT_MS = 600_000;

export interface LabSuite {
  /** A test in the lab; where that is left out it is skipped. */
  readonly test: (name: string, body: (t: TestContext) => Promise<void>) => void;
}

/** To be ended after the last test, the newest first: also where the beginning fails half way. */
type AtEnd = (end: () => Promise<void>) => void;

/** The suite's own daemon: ended after the last test, and where a test fails it is told what it did last. */
type Own = (host: Host) => Host;

/** What a suite's beginning has to work with. */
export interface Beginning<Guest extends LabGuest> {
  /** Of this run, for sockets, disks and logs. */
  readonly folder: string;
  readonly boot: (options: Omit<QemuGuestOptions, 'folder'>) => Promise<Guest>;
  /** A daemon for all of these guests, not started yet. */
  readonly hostOf: (guests: readonly Guest[], options?: HostOptions) => Host;
  readonly own: Own;
  readonly atEnd: AtEnd;
}

export type QemuBeginning = Beginning<QemuGuest>;

export interface LibvirtBeginning extends Beginning<LibvirtGuest> {
  readonly libvirtd: PrivateLibvirtd;
}

/** A suite on either: what begins it is not called where the lab is left out. To be called in the suite's describe block. */
export type MakeSuite<Guest extends LabGuest> = (begin: (beginning: Beginning<Guest>) => Promise<void>) => LabSuite;

/** Guests of plain QEMU, and hosts that have their monitors. */
export const qemuSuite = (begin: (beginning: QemuBeginning) => Promise<void>): LabSuite =>
  labSuite(findQemuLab(), 'selfballoon-qemu', async (images, { folder, atEnd, own }) => {
    const boot: QemuBeginning['boot'] = async (options) => {
      const guest = await QemuGuest.boot(images, { ...options, folder });
      atEnd(() => guest.close());
      return guest;
    };
    const hostOf: QemuBeginning['hostOf'] = (guests, options) => {
      const monitors = guests.map(({ monitor }) => monitor);
      return own(new Host(monitors, options));
    };
    await begin({ folder, boot, hostOf, own, atEnd });
  });

/** Domains of a libvirtd of the suite's own. */
export const libvirtSuite = (begin: (beginning: LibvirtBeginning) => Promise<void>): LabSuite =>
  labSuite(findLibvirtLab(), 'selfballoon-libvirt', async (found, { folder, atEnd, own }) => {
    const images = copyImages(found, folder);
    const libvirtd = await PrivateLibvirtd.start(folder);
    atEnd(() => libvirtd.close());
    const boot: LibvirtBeginning['boot'] = async (options) => {
      const whole = { ...options, folder };
      const guest = await LibvirtGuest.boot(libvirtd, describeMachine(images, whole), whole);
      atEnd(() => {
        guest.close();
        return Promise.resolve();
      });
      return guest;
    };
    const hostOf: LibvirtBeginning['hostOf'] = (_, options) => own(Host.ofLibvirt(libvirtd.uri, options));
    await begin({ folder, boot, hostOf, own, atEnd, libvirtd });
  });

type Common = Pick<Beginning<LabGuest>, 'folder' | 'own' | 'atEnd'>;

function labSuite(
  state: LabState<QemuImages>,
  prefix: string,
  begin: (images: QemuImages, common: Common) => Promise<void>,
): LabSuite {
  const skip = skipReason(labMode(process.env), state);
  const ends: (() => Promise<void>)[] = [];
  const atEnd: AtEnd = (end) => void ends.unshift(end);
  const hosts: Host[] = [];
  const own: Own = (host) => {
    hosts.push(host);
    atEnd(() => host.close());
    return host;
  };
  before(async () => {
    if (skip !== false) return;
    const folder = makeRunFolder(prefix);
    atEnd(() => rm(folder, { recursive: true }));
    await begin(requireReady(state), { folder, own, atEnd });
  });
  after(async () => {
    for (const end of ends) await end();
  });
  return {
    test: (name, body) => {
      void it(name, { skip, timeout: TEST_LIMIT_MS }, (t) => tellingOnFailure(hosts, t, body));
    },
  };
}

async function tellingOnFailure(
  hosts: readonly Host[],
  t: TestContext,
  body: (t: TestContext) => Promise<void>,
): Promise<void> {
  try {
    await body(t);
  } catch (error) {
    for (const line of hosts.flatMap(({ journal }) => lastSteps(journal))) t.diagnostic(line);
    throw error;
  }
}
