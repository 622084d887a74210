/**
 * Tells of limits in the configuration that do nothing: for a guest that is not there, or a floor that its guest can never hold. A typing
 * error there takes a guest's floor away without a word otherwise.
 */
import type { LimitsByName } from '../../control/limits.js';
import type { GuestState } from '../../control/guest-state.js';
import { addMillis, millis, pagesToMibDown, type Millis } from '../../units.js';

/** By then the guests of a host have been met. */
const MET_WITHIN = millis(30_000);

type Seen = Pick<GuestState<unknown>, 'guest' | 'reading'>;

export interface LimitWatchOptions {
  /** By the names and ids of guests. */
  readonly limits: LimitsByName;
  readonly now: () => Millis;
  /** Whether it may be that not all guests have been met yet. */
  readonly isMeeting: () => boolean;
  readonly warn: (text: string) => void;
}

export class LimitWatch {
  readonly #options: LimitWatchOptions;
  readonly #until: Millis;
  /** Of whom nothing has been said yet. */
  readonly #names: Set<string>;
  #isTold = false;

  constructor(options: LimitWatchOptions) {
    this.#options = options;
    this.#until = addMillis(options.now(), MET_WITHIN);
    this.#names = new Set(Object.keys(options.limits));
  }

  /** The guests as they are now. Each thing is told once. */
  look(guests: () => readonly Seen[]): void {
    if (this.#names.size === 0) return;
    const isLate = !this.#isTold && this.#options.now() >= this.#until && !this.#options.isMeeting();
    for (const name of this.#names) {
      const named = guests().filter(({ guest }) => guest.id === name || guest.name === name);
      if (named.length > 0) this.#lookAt(name, named);
      else if (isLate) this.#tellNobody(name);
    }
    this.#isTold ||= isLate;
  }

  #lookAt(name: string, named: readonly Seen[]): void {
    const floor = this.#options.limits[name]?.floor ?? 0;
    for (const { guest, reading } of named) {
      const maximum = reading?.maximum;
      if (maximum?.known !== true) continue;
      this.#names.delete(name);
      if (floor <= maximum.value) continue;
      const most = pagesToMibDown(maximum.value);
      this.#options.warn(
        `min_mib of [guest."${name}"] is more than the ${most} MiB that ${guest.id} can ever hold: it is held at those`,
      );
    }
  }

  #tellNobody(name: string): void {
    this.#options.warn(
      `[guest."${name}"] is in the configuration, and no guest of that name is here: its limits do nothing until one comes. Is the name right? selfballoon status shows those that are`,
    );
  }
}
