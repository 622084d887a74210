/** One boot of the Xen lab for all its tests. Where the lab is left out nothing is booted, and every test is skipped by name. */
import { before, after, it } from 'node:test';
import { labMode, requireReady, skipReason } from '../../../lab/mode.js';
import type { Dom0 } from '../../../lab/xen/dom0.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { XenLab, type XenGuestOptions } from '../../../lab/xen/lab.js';
import { findXenLab } from '../../../lab/xen/marker.js';
import { REPOSITORY } from '../../support/paths.js';

export interface XenWorld {
  /** False where the lab is left out, and every test is skipped. */
  readonly isBooted: () => boolean;
  readonly dom0: () => Dom0;
  /** `unaccountedMib` before there was any guest. */
  readonly ownMib: () => number;
  /** Declares a guest of the suite that is being described; it is there when the suite's tests run. */
  readonly guest: (options: XenGuestOptions, prepare?: Prepare) => () => XenGuest;
  /** The same for several. While one is prepared the next is booted: more at once than there are processors take longer together. */
  readonly guests: (options: readonly XenGuestOptions[], prepare?: Prepare) => (name: string) => XenGuest;
  /** A test in the lab. */
  readonly it: (name: string, test: (t: TestSpeaker) => Promise<void>) => void;
}

/** What is done to a guest before the tests. */
export type Prepare = (guest: XenGuest) => Promise<void>;

/** What a test says besides passing. */
export interface TestSpeaker {
  readonly diagnostic: (message: string) => void;
}

/** For a single test, which may wait for a guest on a busy machine; the lab's own limits are shorter. */
const TEST_LIMIT_MS = 600_000;

/** To be called in the describe block of all tests: boots before the first and ends after the last. */
export function xenWorld(): XenWorld {
  const state = findXenLab();
  const skip = skipReason(labMode(process.env), state);
  let lab: XenLab | null = null;
  let ownMib = NaN;
  /** Suites declare theirs before the first test runs. */
  const declared: XenGuestOptions[] = [];
  before(async () => {
    if (skip !== false) return;
    lab = await XenLab.boot(requireReady(state), { repository: REPOSITORY, guests: declared });
    ownMib = await lab.dom0.unaccountedMib();
  });
  after(async () => {
    await lab?.close();
  });
  const booted = (): XenLab => lab ?? notYet('the lab');
  const guests: XenWorld['guests'] = (options, prepare) => {
    declared.push(...options);
    const made = new Map<string, XenGuest>();
    before(async () => {
      if (skip !== false) return;
      let prepared: Promise<unknown> = Promise.resolve();
      for (const one of options) {
        const guest = await booted().createGuest(one);
        made.set(one.name, guest);
        await prepared;
        prepared = prepare?.(guest) ?? prepared;
        // It is waited for when the next has booted.
        prepared.catch(() => undefined);
      }
      await prepared;
    });
    after(async () => {
      for (const guest of made.values()) await guest.destroy();
    });
    return (name) => made.get(name) ?? notYet(`the guest ${name}`);
  };
  return {
    isBooted: () => lab !== null,
    dom0: () => booted().dom0,
    ownMib: () => ownMib,
    guest: (options, prepare) => {
      const made = guests([options], prepare);
      return () => made(options.name);
    },
    guests,
    it: (name, test) => {
      it(name, { skip, timeout: TEST_LIMIT_MS }, test);
    },
  };
}

function notYet(what: string): never {
  throw new Error(`${what} is not there; it is made before the tests of its suite`);
}
