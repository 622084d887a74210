/** A hypervisor whose guests do what a test tells them: obey, refuse, stay silent, lie. Time stands still between calls. */
import type { GuestNotice, Hypervisor, ReadOutcome } from '../../src/control/ports.js';
import type { Reading } from '../../src/control/reading.js';
import { HypervisorError } from '../../src/errors.js';
import { pages, type GuestSize, type Millis, type Pages } from '../../src/units.js';
import { readingOf } from './readings.js';

export interface FakeGuest {
  committed: number;
  total: number;
  /** The driver counts this much more than the kernel manages. */
  readonly hidden: number;
  readonly maximum: number;
  /** `unheard`: it is seen, and what it is asked for has no answer. */
  behaviour: 'obeys' | 'ignores' | 'refuses' | 'silent' | 'unheard' | 'unreadable';
  /** What a reading says instead of the truth. */
  lie: Partial<Reading>;
}

export const fakeGuest = (given: Partial<FakeGuest> = {}): FakeGuest => ({
  committed: 30_000,
  total: 131_072,
  hidden: 3_000,
  maximum: 134_072,
  behaviour: 'obeys',
  lie: {},
  ...given,
});

export class FakeHypervisor implements Hypervisor {
  readonly kind = 'fake';
  readonly description = 'guests made up by a test';
  readonly targets: { readonly guest: string; readonly target: Pages }[] = [];
  readonly shrinks: { readonly guest: string; readonly to: Pages }[] = [];
  #announce: ((notice: GuestNotice) => void) | null = null;

  constructor(
    readonly guests: Map<string, FakeGuest>,
    readonly now: () => Millis,
    readonly canSetTarget = true,
  ) {}

  notice(guest: string): GuestNotice {
    const capabilities = { canSetTarget: this.canSetTarget, hasOverflowTier: true, isSimulated: true };
    return { kind: 'guest-came', guest: { id: guest, name: guest, capabilities } };
  }

  /** It is told of now; it must be among `guests`. */
  add(guest: string): void {
    this.#announce?.(this.notice(guest));
  }

  remove(guest: string): void {
    this.guests.delete(guest);
    this.#announce?.({ kind: 'guest-left', guest });
  }

  async *watchGuests(signal: AbortSignal): AsyncIterable<GuestNotice> {
    const queue: GuestNotice[] = [...this.guests.keys()].map((guest) => this.notice(guest));
    let wake = (): void => undefined;
    this.#announce = (notice) => {
      queue.push(notice);
      wake();
    };
    signal.addEventListener(
      'abort',
      () => {
        wake();
      },
      { once: true },
    );
    for (;;) {
      yield* queue.splice(0);
      if (signal.aborted) return;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  async read(guests: readonly string[], report: (outcome: ReadOutcome) => void, signal: AbortSignal): Promise<void> {
    let isWaiting = false;
    for (const id of guests) {
      const guest = this.guests.get(id);
      if (guest?.behaviour === 'silent') isWaiting = true;
      else report(this.#look(id, guest));
    }
    if (isWaiting)
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve, { once: true });
      });
  }

  async setTarget(id: string, target: GuestSize, signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    this.targets.push({ guest: id, target });
    const guest = this.guests.get(id);
    if (guest === undefined) throw new HypervisorError({ code: 'EGONE', guest: id, message: 'it is gone' });
    if (guest.behaviour === 'refuses') throw new HypervisorError({ code: 'EPERM', guest: id, message: 'not allowed' });
    if (guest.behaviour === 'silent' || guest.behaviour === 'unheard')
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve, { once: true });
      });
    if (guest.behaviour === 'obeys') guest.total = Math.min(target, guest.maximum) - guest.hidden;
  }

  async shrinkOverflow(guest: string, to: Pages): Promise<string> {
    await Promise.resolve();
    this.shrinks.push({ guest, to });
    return `shrunk to ${to}`;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #look(id: string, guest: FakeGuest | undefined): ReadOutcome {
    if (guest === undefined || guest.behaviour === 'unreadable') {
      const error = new HypervisorError({ code: 'EIO', guest: id, message: 'its socket is closed' });
      return { kind: 'reading-failed', guest: id, error };
    }
    const { total, committed, hidden, maximum } = guest;
    const truth = readingOf({
      at: this.now(),
      total: pages(total),
      committed: pages(committed),
      current: pages(total + hidden),
      maximum: pages(maximum),
      maxPfn: pages(maximum),
      free: pages(0),
      available: pages(0),
    });
    return { kind: 'reading', guest: id, reading: { ...truth, ...guest.lie } };
  }
}
