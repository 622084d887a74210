/**
 * Swap stripes: the overflow tier where the kernel has no frontswap. Several small swap devices (zram, as a rule) are filled
 * one after another; the tier shrinks by emptying whole stripes, the last one filled first. Which one is `plan.ts`'s
 * decision, what was asked for and has not come home is `owed.ts`'s count. This file looks, acts, and sees to it that a
 * stripe taken off is put on again, whatever happens in between.
 *
 * At most one stripe is off at any time. `swapoff` cannot be aborted: when a time limit passes, the caller is let go and the
 * stripe is finished and put back in the background.
 */
import { unlessAborted } from '../waiting/abort.js';
import type { OverflowReading, OverflowTier } from '../control/ports.js';
import { mapField, type Field } from '../control/signal.js';
import type { ProcFile } from '../signals/proc-file.js';
import { addPages, millis, NO_PAGES, subtractToZero, type Millis, type Pages } from '../units.js';
import { checkDevices } from './devices.js';
import { openStripeFiles, type StripeFiles } from './look.js';
import { debtAfterAsking, debtAfterHomecoming, debtAfterLook, NO_DEBT, type Debt } from './owed.js';
import { devicesUnderWay } from './under-way.js';
import { planShrink, sizeOf, usedBy, type Stripe } from './plan.js';
import { priorityFor } from './priorities.js';
import { failedAgain, isDue, missingStripe, waitedOneLook, type MissingStripe } from './put-back.js';
import {
  sayBusy,
  sayEmptied,
  sayFloorUnknown,
  sayMemoryUnknown,
  sayStillOff,
  sayStripesUnknown,
  sayWhyNot,
} from './sentences.js';
import type { SwapCalls } from './swap-calls.js';
import { asSelfballoonError, closedError, notPutBack, outOfTime } from './swap-errors.js';

export interface SwapStripesOptions {
  /** Absolute paths of swap devices, at least one, the one to be filled first first. */
  readonly devices: readonly string[];
  /** Folder under which `proc` lies; `/` on a real machine. */
  readonly root: string;
  /** Memory that must stay available, on top of the floor, while a stripe is emptied. */
  readonly reservePages: Pages;
  /**
   * Memory that must stay available anyway: what the kernel keeps for itself. Asked anew at each look, for it changes with the
   * size of the guest. While it is unknown nothing is emptied.
   */
  readonly floorPages: () => Field<Pages>;
  readonly swap: SwapCalls;
  /** The one clock; used to say how long emptying a stripe took. */
  readonly now: () => Millis;
  /** How a file of `/proc` is kept open and read. Given by tests only. */
  readonly openFile?: (path: string) => ProcFile;
}

/**
 * One configured stripe, for people.
 * - `on`: switched on
 * - `leaving`: on, and being emptied by the tool of a daemon that was killed; it is switched on again when that has ended
 * - `missing`: off, and it is our business to switch it on; `error` says why the last attempt failed
 * - `off`: off, and not by us: someone else has switched it off since
 * - `unknown`: `/proc/swaps` could not be read
 */
export interface StripeReport {
  readonly device: string;
  readonly state: 'on' | 'leaving' | 'missing' | 'off' | 'unknown';
  /** Null where it is not on. */
  readonly used: Pages | null;
  readonly error: string | null;
}

export interface SwapStripes extends OverflowTier {
  /** Every configured stripe, in the configured order. */
  report(): readonly StripeReport[];
}

/**
 * Opens the tier. Configured devices that are not switched on are switched on, between their neighbours' priorities: that is
 * how the next start heals a crash between `swapoff` and `swapon`. One that is still being emptied for a daemon that was killed follows when
 * it is off. One that refuses does not stop the opening; it is tried
 * again at later looks and reported until then. Throws `SelfballoonError` `ECONFIG` for a list of devices that cannot be.
 */
export async function openSwapStripes(options: SwapStripesOptions): Promise<SwapStripes> {
  checkDevices(options.devices);
  const stripes = new Stripes(options);
  await stripes.restore();
  return stripes;
}

class Stripes implements SwapStripes {
  readonly #options: SwapStripesOptions;
  readonly #files: StripeFiles;
  /** By device: what should be on, as far as that is our business, and was not on when last looked at. */
  readonly #missing = new Map<string, MissingStripe>();
  #debt: Debt = NO_DEBT;
  readonly #closing = new AbortController();
  /** What is being done now. Never rejects. */
  #work: Promise<unknown> | null = null;
  #emptying: string | null = null;

  constructor(options: SwapStripesOptions) {
    this.#options = options;
    this.#files = openStripeFiles(options);
  }

  /** Switches on what is off at the start. All are missing until a look has found them on. */
  async restore(): Promise<void> {
    const { root, devices } = this.#options;
    const underWay = devicesUnderWay(root, devices);
    for (const device of devices) {
      const why = underWay.has(device) ? 'emptied' : 'found-off';
      this.#missing.set(device, missingStripe(device, why, underWay.has(device) ? this.#priorityOf(device) : null));
    }
    await this.#exclusively(() => this.#putBack());
  }

  #priorityOf(device: string): number | null {
    const seen = this.#files.stripes();
    return seen.known ? (seen.value.find((stripe) => stripe?.device === device)?.priority ?? null) : null;
  }

  readonly read = async (): Promise<OverflowReading> => {
    if (this.#closing.signal.aborted) return { kind: 'absent', why: 'the swap stripes are closed' };
    if (this.#work === null && this.#missing.size > 0) await this.#exclusively(() => this.#putBack());
    return this.#reading(this.#look());
  };

  /** Looks at the stripes that are on. While one is being emptied its pages are on their way, so that look does not count. */
  #look(): Field<readonly Stripe[]> {
    const seen = mapField(this.#files.stripes(), (all) => all.filter((stripe) => stripe !== null));
    if (seen.known && this.#emptying === null) this.#debt = debtAfterLook(this.#debt, usedBy(seen.value));
    return seen;
  }

  #reading(seen: Field<readonly Stripe[]>): OverflowReading {
    if (!seen.known) return { kind: 'absent', why: `the swap devices in use are not known: ${seen.detail}` };
    const on = seen.value;
    if (on.length > 0) return { kind: 'present', used: usedBy(on), total: sizeOf(on) };
    const errors = [...this.#missing.values()].flatMap(({ error }) => (error === null ? [] : [error.message]));
    return { kind: 'absent', why: ['none of the swap stripes is switched on', ...errors].join('; ') };
  }

  report(): readonly StripeReport[] {
    const seen = this.#files.stripes();
    return this.#options.devices.map((device, index) => {
      const error = this.#missing.get(device)?.error?.message ?? null;
      if (!seen.known) return { device, state: 'unknown', used: null, error: error ?? seen.detail };
      const stripe = seen.value[index] ?? null;
      if (stripe !== null) {
        return { device, state: this.#isLeaving(device) ? 'leaving' : 'on', used: stripe.used, error: null };
      }
      const ours = this.#missing.has(device) || this.#emptying === device;
      return { device, state: ours ? 'missing' : 'off', used: null, error };
    });
  }

  /** Whether a stripe that is on and should be will be off, through a tool that is not ours. */
  #isLeaving(device: string): boolean {
    return this.#missing.get(device)?.why === 'emptied' && devicesUnderWay(this.#options.root, [device]).has(device);
  }

  /**
   * Adds what is too much to what is owed, and empties stripes as long as one fits. While something is being done already,
   * or the stripes cannot be seen, it adds nothing: too little owed means pages come home later, too much would break the port.
   */
  async shrinkTo(to: Pages, signal: AbortSignal): Promise<string> {
    if (this.#closing.signal.aborted) throw closedError();
    if (this.#work !== null) return sayBusy(this.#emptying);
    const work = this.#exclusively(() => this.#shrink(to, signal));
    return await unlessAborted(work, signal, () => outOfTime(this.#emptying));
  }

  /** Without a signal of both: the runtime would keep a part of that for as long as it closes nothing. */
  readonly #isOver = ({ aborted }: AbortSignal): boolean => aborted || this.#closing.signal.aborted;

  async #shrink(to: Pages, signal: AbortSignal): Promise<string> {
    const seen = this.#look();
    if (!seen.known) return sayStripesUnknown(seen.detail);
    this.#debt = debtAfterAsking(this.#debt, usedBy(seen.value), to);
    const said: string[] = [];
    for (let acts = 0; acts < this.#options.devices.length && !this.#isOver(signal); acts += 1) {
      const planned = this.#decide(to);
      if (typeof planned === 'string') return [...said, planned].join('; ');
      await this.#putBack();
      const missing = [...this.#missing.values()].find(({ why }) => why === 'emptied');
      if (missing !== undefined) return [...said, sayStillOff(missing.device, this.#debt.owed)].join('; ');

      // Putting a stripe back takes time, and memory may be gone since. Look again right before the act.
      const confirmed = this.#decide(to);
      if (typeof confirmed === 'string') return [...said, confirmed].join('; ');
      said.push(await this.#empty(confirmed));
    }
    const last = this.#decide(to);
    return [...said, typeof last === 'string' ? last : 'stopped before the next stripe'].join('; ');
  }

  /** Looks, and says which stripe to empty now, or in words why none. */
  #decide(to: Pages): Stripe | string {
    const seen = this.#look();
    if (!seen.known) return sayStripesUnknown(seen.detail);
    const available = this.#files.available();
    if (!available.known) return sayMemoryUnknown(available.detail, this.#debt.owed);
    const floor = this.#options.floorPages();
    if (!floor.known) return sayFloorUnknown(floor.detail, this.#debt.owed);
    const keep = addPages(this.#options.reservePages, floor.value);
    const plan = planShrink({ stripes: seen.value, to, owed: this.#debt.owed, available: available.value, keep });
    return plan.kind === 'empty' ? plan.stripe : sayWhyNot(plan);
  }

  async #empty(stripe: Stripe): Promise<string> {
    const began = this.#options.now();
    const took = (): Millis => millis(this.#options.now() - began);
    this.#emptying = stripe.device;
    try {
      await this.#takeOff(stripe);
      const sentence = sayEmptied(stripe, took());
      const missing = missingStripe(stripe.device, 'emptied', stripe.priority);
      this.#missing.set(stripe.device, missing);
      await this.#switchOn(missing, stripe.priority);
      // The device may be held for a moment by whoever looks at devices that change; a second attempt often does.
      const error = this.#missing.get(stripe.device)?.error ?? null;
      if (error !== null) await this.#switchOn(missing, stripe.priority);
      if (this.#missing.has(stripe.device)) throw notPutBack(stripe.device, took(), error);
      return sentence;
    } catch (error) {
      throw asSelfballoonError(error);
    } finally {
      this.#emptying = null;
    }
  }

  /**
   * `swapoff` brings pages home also when it fails halfway. What is owed falls by those, and by all where it cannot be seen. The tool may be
   * killed while the kernel is about to finish: a stripe that is off then was emptied, whatever became of the tool.
   */
  async #takeOff(stripe: Stripe): Promise<void> {
    try {
      await this.#options.swap.swapOff(stripe.device);
      this.#debt = debtAfterHomecoming(this.#debt, stripe.used);
    } catch (error) {
      const seen = this.#files.stripes();
      const left = seen.known ? seen.value.find((one) => one?.device === stripe.device)?.used : undefined;
      this.#debt = debtAfterHomecoming(this.#debt, subtractToZero(stripe.used, left ?? NO_PAGES));
      if (!seen.known || left !== undefined) throw error;
    }
  }

  /** One look's attempts at the stripes that are missing. Does not reject: what failed stays missing, with its error. */
  async #putBack(): Promise<void> {
    if (this.#missing.size === 0) return;
    for (const missing of [...this.#missing.values()]) {
      // Before the look: whoever is done by then is seen to have been.
      const isLeaving = this.#isLeaving(missing.device);
      const seen = this.#files.stripes();
      if (!seen.known) return;
      const index = this.#options.devices.indexOf(missing.device);
      const active = seen.value.map((stripe) => stripe?.priority ?? null);
      if ((active[index] ?? null) !== null) {
        if (!isLeaving) this.#missing.delete(missing.device);
      } else if (isDue(missing)) await this.#switchOn(missing, missing.priority ?? priorityFor(index, active));
      else this.#missing.set(missing.device, waitedOneLook(missing));
    }
  }

  async #switchOn(missing: MissingStripe, priority: number): Promise<void> {
    try {
      await this.#options.swap.swapOn(missing.device, priority);
      this.#missing.delete(missing.device);
    } catch (error) {
      this.#missing.set(missing.device, failedAgain(missing, asSelfballoonError(error)));
    }
  }

  /** Runs `act` as the one thing being done. Nobody may be at work. */
  async #exclusively<T>(act: () => Promise<T>): Promise<T> {
    const work = act();
    const settled = work.then(
      () => null,
      () => null,
    );
    this.#work = settled;
    try {
      return await work;
    } finally {
      if (this.#work === settled) this.#work = null;
    }
  }

  /** Waits for a stripe that is being emptied (this cannot be aborted), puts back what is missing, and closes the files. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await this.#work;
    for (const missing of [...this.#missing.values()]) this.#missing.set(missing.device, { ...missing, looksLeft: 0 });
    await this.#putBack();
    this.#files.close();
  }
}
