/**
 * How one domain's guest is asked for its statistics: by QEMU, once a second. What was set before is put back in the end. It does not know
 * what the statistics say, nor when polling should begin anew.
 */
import type { Clock } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { errorText } from '../../errors.js';
import { statsStayOff } from '../../signals/polling-left.js';
import { Renewal } from '../../signals/renewal.js';
import type { Millis } from '../../units.js';
import { VirshError, type Virsh } from '../../virsh/index.js';
import { setPeriodWords } from './codec.js';

/** In seconds: the shortest that there is. */
const PERIOD_S = 1;
const NEVER = new AbortController().signal;

export interface PollingOptions {
  readonly uuid: string;
  readonly id: GuestId;
  /** Whether it stays as it is, on or off. */
  readonly isLeftAlone: boolean;
  readonly clock: Clock;
  /** Told, in words for the log, what a person should know of. */
  readonly tell: (message: string) => void;
}

export class StatsPolling {
  readonly #options: PollingOptions;
  /** The period when the domain was met, in seconds, 0: off; null: it has not been met. */
  #found: number | null = null;
  #begun: Millis | null = null;
  #beginning: Promise<void> | null = null;
  readonly #renewal = new Renewal();
  #isLeft = false;
  #isSwitching = false;
  #turnAt: Millis | null = null;
  /** It was switched off, and nobody knows whether it is on again. */
  #isUncertain = false;
  /** The domain answers, and its statistics are all that is known of its guest. */
  isNeeded = false;

  #hasTold = false;

  constructor(options: PollingOptions) {
    this.#options = options;
    this.#isLeft = options.isLeftAlone;
  }

  /** When it was last switched on again; null: it has its place by chance. */
  get begun(): Millis | null {
    return this.#begun;
  }

  /** It is on, where the domain's description has another period. A domain whose QEMU does not answer is not waited for. */
  switchOn(virsh: Virsh, period: number): void {
    if (this.#options.isLeftAlone) {
      this.#tellWhereOff(period);
      return;
    }
    this.#found ??= period;
    if (period === PERIOD_S || this.#beginning !== null || this.#isSwitching) return;
    this.#isSwitching = true;
    const on = virsh
      .act(setPeriodWords(this.#options.uuid, PERIOD_S), NEVER)
      .finally(() => (this.#isSwitching = false));
    void on.catch((error: unknown) => {
      const isNews = !(error instanceof VirshError && ['EGONE', 'EUNAVAILABLE'].includes(error.virshCode));
      if (isNews) this.#options.tell(`${this.#options.id}: its statistics cannot be switched on: ${errorText(error)}`);
    });
  }

  #tellWhereOff(period: number): void {
    if (period !== 0 || this.#hasTold) return;
    this.#hasTold = true;
    this.#options.tell(statsStayOff(this.#options.id));
  }

  /** What a look that began at `at` has found. */
  noteSeen(lastUpdate: number | null, at: Millis): void {
    if (this.#renewal.isLate(lastUpdate, at)) this.#begun = null;
  }

  /** When it last had a turn, well or not; null: never yet. */
  get turnAt(): Millis | null {
    return this.#turnAt;
  }

  /** Whether it is being switched off and on. */
  get isBeginning(): boolean {
    return this.#beginning !== null;
  }

  /**
   * Off and on again, so that the guest is asked when it is on: that counts only where it is by `until`, for the look after it. Resolves when it is
   * over, well or not.
   */
  async beginAnew(virsh: Virsh, until: Millis): Promise<void> {
    if (this.#isLeft) return;
    this.#turnAt = this.#options.clock.now();
    this.#beginning ??= this.#offAndOn(virsh, until).finally(() => (this.#beginning = null));
    await this.#beginning;
  }

  /** One after the other: over two sessions the second could be first. */
  async #offAndOn(virsh: Virsh, until: Millis): Promise<void> {
    this.#isUncertain = true;
    try {
      await this.#set(virsh, 0).catch(() => undefined);
      await this.#set(virsh, PERIOD_S);
      this.#isUncertain = false;
      const now = this.#options.clock.now();
      this.#begun = now <= until ? now : null;
    } catch {
      // The next turn tries again, and a domain that says nothing for half a minute is met anew.
      this.#begun = null;
    }
  }

  /** Puts back what was found by `act`, as far as libvirt still answers. Never rejects. */
  async putBack(act: Virsh['act']): Promise<void> {
    this.#isLeft = true;
    await this.#beginning;
    const found = this.#found;
    if (found === null || (found === PERIOD_S && !this.#isUncertain)) return;
    await act(setPeriodWords(this.#options.uuid, found), NEVER).catch(() => undefined);
  }

  #set(virsh: Virsh, seconds: number): Promise<unknown> {
    return virsh.actAside(setPeriodWords(this.#options.uuid, seconds), NEVER);
  }
}
