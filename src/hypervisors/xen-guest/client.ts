/**
 * The inside of one Xen guest as a hypervisor with one guest: itself. Reads the guest's own kernel, and moves its balloon
 * through the driver's attribute files. Does the I/O; text and units are the codec's, decisions are control's.
 */
import { join } from 'node:path';
import { unlessAborted, untilAborted } from '../../waiting/abort.js';
import type { Alarm } from '../../control/alarm.js';
import { Lanes } from '../../waiting/lanes.js';
import { asHypervisorError } from '../../adapter/port-errors.js';
import {
  CALL_TIME_LIMIT,
  type Clock,
  type GuestNotice,
  type Hypervisor,
  type OverflowTier,
  type ReadOutcome,
} from '../../control/ports.js';
import type { GuestId, Reading } from '../../control/reading.js';
import { knownAt, stamp, unknown, type Signal } from '../../control/signal.js';
import { openAlarmSensor } from '../../signals/alarm-sensor.js';
import { openGuestReader, type GuestReader } from '../../signals/guest-reader.js';
import type { TriggerSettings } from '../../signals/trigger-file.js';
import type { GuestSize, Millis, Pages } from '../../units.js';
import { AlarmBox } from './alarm-box.js';
import { openBalloonFiles, XEN_MEMORY, type BalloonFiles } from './balloon-files.js';
import { formatTarget } from './codec.js';
import {
  impossibleTarget,
  notTaken,
  noTier,
  outOfTime,
  stillWriting,
  superseded,
  unknownGuest,
  writeFailed,
} from './errors.js';
import { cleanName, guestId, guestName, KIND } from './name.js';
import { RestingMaximum } from './resting-maximum.js';
import { setAttribute, type SetAttribute } from './target-file.js';

/** How the guest is watched between two readings. */
export interface AlarmOptions {
  readonly clock: Clock;
  readonly trigger: TriggerSettings;
  /** Told, in words for the log, when it cannot be watched as was asked for. */
  readonly warn?: (message: string) => void;
}

export interface XenGuestOptions {
  /** Folder under which `sys` and `proc` lie; `/` on a real machine. */
  readonly root: string;
  readonly now: () => Millis;
  /** What catches swapped pages; null where there is nothing. It is not closed here: whoever opened it closes it. */
  readonly tier: OverflowTier | null;
  /** Default: null, the guest is not watched between two readings and gives no alarms. */
  readonly alarms?: AlarmOptions | null;
  /** Default: the host name, or else the Xen UUID. */
  readonly name?: string;
  /** How `target_kb` is written and read back. Given by tests only. */
  readonly setAttribute?: SetAttribute;
  /** A signal that is aborted that much later, as a clock makes it. Default: real time. */
  readonly timeLimit?: (length: Millis) => AbortSignal;
}

/**
 * Opens this guest. That a file is missing is no error here: readings then have unknown signals, and `setTarget` says
 * `ENODEV`. Use `detectXen` first to learn whether this is a Xen guest at all.
 */
export function openXenGuest(options: XenGuestOptions): Hypervisor {
  return new XenGuest(options);
}

class XenGuest implements Hypervisor {
  readonly kind = KIND;
  readonly description: string;
  readonly #options: XenGuestOptions;
  readonly #name: string;
  readonly #id: GuestId;
  readonly #reader: GuestReader;
  readonly #balloon: BalloonFiles;
  readonly #maximum = new RestingMaximum();
  readonly #targetPath: string;
  /** A write cannot be stopped once it is begun, and two at a time could land in either order. */
  readonly #targets = new Lanes((guest) => superseded(guest, this.#newest));
  /** The target that was asked for last, as it is written. */
  #newest = '';

  constructor(options: XenGuestOptions) {
    this.#options = options;
    this.#name = options.name === undefined ? guestName(options.root) : cleanName(options.name);
    this.#id = guestId(this.#name);
    this.#targetPath = join(options.root, XEN_MEMORY, 'target_kb');
    this.description = `this Xen guest (${this.#name}), through ${this.#targetPath}`;
    this.#reader = openGuestReader({ root: options.root, now: options.now });
    this.#balloon = openBalloonFiles(options.root);
  }

  async *watchGuests(signal: AbortSignal): AsyncGenerator<GuestNotice> {
    if (signal.aborted) return;
    const capabilities = { canSetTarget: true, hasOverflowTier: this.#options.tier !== null, isSimulated: false };
    yield { kind: 'guest-came', guest: { id: this.#id, name: this.#name, capabilities } };
    const { alarms } = this.#options;
    if (alarms === undefined || alarms === null) await untilAborted(signal);
    else yield* this.#watchAlarms(alarms, signal);
  }

  async *#watchAlarms(alarms: AlarmOptions, signal: AbortSignal): AsyncGenerator<GuestNotice> {
    const box = new AlarmBox();
    const onAlarm = (alarm: Alarm): void => {
      box.put(alarm);
    };
    const sensor = openAlarmSensor({ root: this.#options.root, ...alarms, onAlarm });
    try {
      for (let alarm = await box.take(signal); alarm !== null; alarm = await box.take(signal)) {
        yield { kind: 'guest-alarm', guest: this.#id, alarm };
      }
    } finally {
      await sensor.close();
    }
  }

  async read(guests: readonly GuestId[], report: (outcome: ReadOutcome) => void, signal: AbortSignal): Promise<void> {
    for (const guest of guests) report(await this.#readOne(guest, signal));
  }

  async #readOne(guest: GuestId, signal: AbortSignal): Promise<ReadOutcome> {
    try {
      if (guest !== this.#id) throw unknownGuest(guest, this.#id);
      return { kind: 'reading', guest, reading: await this.#look(signal) };
    } catch (error) {
      return { kind: 'reading-failed', guest, error: asHypervisorError(error, { doing: 'reading it failed', guest }) };
    }
  }

  async #look(signal: AbortSignal): Promise<Reading> {
    const overflowUsed = await this.#overflowUsed(signal);
    const signals = this.#reader.read();
    const seenAt = this.#options.now();
    const sizes = this.#balloon.read();
    const current = stamp(sizes.current, seenAt);
    const maximum = stamp(this.#maximum.seen(sizes), seenAt);
    return { ...signals, current, maximum, overflowUsed, at: this.#options.now() };
  }

  /** A tier that fails or takes too long leaves its own signal unknown; the rest of the reading is as good as ever. */
  async #overflowUsed(signal: AbortSignal): Promise<Signal<Pages>> {
    const { tier, now } = this.#options;
    if (tier === null) return unknown('not-reported', 'there is no overflow tier');
    try {
      const seenAt = now();
      const seen = await unlessAborted(tier.read(), signal, () => outOfTime(this.#id, 'the look at it'));
      return seen.kind === 'present' ? knownAt(seen.used, seenAt) : unknown('not-reported', seen.why);
    } catch (error) {
      const failure = { doing: 'the overflow tier cannot be read', guest: this.#id };
      return unknown('unreadable', asHypervisorError(error, failure).message);
    }
  }

  async setTarget(guest: GuestId, target: GuestSize, signal: AbortSignal): Promise<void> {
    if (guest !== this.#id) throw unknownGuest(guest, this.#id);
    const text = formatTarget(target);
    if (text === null) throw impossibleTarget(guest, target);
    const doing = `setting the balloon target to ${text.trim()} KiB`;
    // Whoever has given up already may have asked elsewhere since, and does not wait for the answer.
    if (signal.aborted) throw outOfTime(guest, doing);
    this.#newest = text;
    const work = this.#targets.run(guest, () => this.#write(text));
    const readBack = await unlessAborted(work, signal, () => outOfTime(guest, doing));
    if (readBack.trim() !== text.trim()) throw notTaken(guest, text, readBack);
  }

  async #write(text: string): Promise<string> {
    try {
      return await (this.#options.setAttribute ?? setAttribute)(this.#targetPath, text);
    } catch (error) {
      throw writeFailed(this.#id, this.#targetPath, error);
    }
  }

  async shrinkOverflow(guest: GuestId, to: Pages, signal: AbortSignal): Promise<string> {
    if (guest !== this.#id) throw unknownGuest(guest, this.#id);
    const { tier } = this.#options;
    if (tier === null) throw noTier(guest);
    if (signal.aborted) throw outOfTime(guest, 'shrinking the overflow tier');
    try {
      const work = tier.shrinkTo(to, signal);
      return await unlessAborted(work, signal, () => outOfTime(guest, 'shrinking the overflow tier'));
    } catch (error) {
      throw asHypervisorError(error, { doing: 'shrinking the overflow tier failed', guest });
    }
  }

  /**
   * Waits up to 5 s for targets on their way, and closes the files. The overflow tier stays open, and what was asked of the
   * balloon stays as it is. Rejects with `ETIMEDOUT` when a write does not end: then nobody knows which target it leaves.
   */
  async close(): Promise<void> {
    this.#reader.close();
    this.#balloon.close();
    if (!this.#targets.isBusy) return;
    const limit = (this.#options.timeLimit ?? realTimeLimit)(CALL_TIME_LIMIT);
    await unlessAborted(this.#targets.settled(), limit, () => stillWriting(this.#id, this.#targetPath));
  }
}

const realTimeLimit = (length: Millis): AbortSignal => AbortSignal.timeout(length);
