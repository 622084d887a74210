/**
 * The embedded hypervisor: a simulated host behind the same port as the real ones, so that everything can be tried, watched
 * and tested without any. It moves the simulated world on to the clock's time and hands calls over; it decides nothing.
 */
import type {
  Capabilities,
  Clock,
  GuestDescription,
  GuestNotice,
  Hypervisor,
  ReadOutcome,
} from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { errorText, HypervisorError } from '../../errors.js';
import { PLUG_BLOCK, type SimGuest, type SimHost } from '../../sim/index.js';
import { pages, pagesToMibDown, type GuestSize, type Pages } from '../../units.js';
import { watchRoster } from './watch.js';

const KIND = 'embedded';

/** Which world is driven, and in whose time. */
export interface EmbeddedOptions {
  /** The simulated host. Guests may come and go through it at any time. */
  readonly host: SimHost;
  /** Whose time the world follows: virtual in tests, scaled when watched live. */
  readonly clock: Clock;
}

/** The port over a simulated host. Its guests' ids are `embedded/<name>`; nothing it shows is real, and it says so. */
export function createEmbeddedHypervisor(options: EmbeddedOptions): Hypervisor {
  return new EmbeddedHypervisor(options);
}

class EmbeddedHypervisor implements Hypervisor {
  readonly kind = KIND;
  readonly #host: SimHost;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #stopListening: () => void;
  #guests: ReadonlyMap<GuestId, SimGuest>;
  #isStale = false;

  constructor({ host, clock }: EmbeddedOptions) {
    this.#host = host;
    this.#clock = clock;
    this.#guests = rosterOf(host);
    // Guests often come many at once: what was known is thrown away now, and gathered when it is next asked for.
    this.#stopListening = host.onGuestsChanged(() => (this.#isStale = true));
  }

  get description(): string {
    const total = pagesToMibDown(this.#host.memory.totalPages);
    const maxima = pagesToMibDown(this.#host.maximaPages);
    return `a simulated host of ${total} MiB, not a real one; its guests could hold ${maxima} MiB together`;
  }

  async *watchGuests(signal: AbortSignal): AsyncIterable<GuestNotice> {
    if (signal.aborted) return;
    this.#refuse('watching guests', signal);
    const ends = AbortSignal.any([signal, this.#closing.signal]);
    const subscribe = (listener: () => void): (() => void) => this.#host.onGuestsChanged(listener);
    for await (const { kind, id, entry } of watchRoster(() => this.#roster(), subscribe, ends)) {
      yield kind === 'came' ? { kind: 'guest-came', guest: describe(id, entry) } : { kind: 'guest-left', guest: id };
    }
  }

  async read(guests: readonly GuestId[], report: (outcome: ReadOutcome) => void, signal: AbortSignal): Promise<void> {
    this.#refuse('reading guests', signal);
    this.#catchUp();
    const roster = this.#roster();
    for (const guest of guests) {
      const found = roster.get(guest);
      if (found === undefined) report({ kind: 'reading-failed', guest, error: gone(guest, 'reading it') });
      else report({ kind: 'reading', guest, reading: found.read() });
    }
    return Promise.resolve();
  }

  async setTarget(guest: GuestId, target: GuestSize, signal: AbortSignal): Promise<void> {
    this.#find(guest, `setting it to ${target} pages`, signal).setTarget(target);
    return Promise.resolve();
  }

  async setGrowth(guest: GuestId, plugged: Pages, signal: AbortSignal): Promise<void> {
    const doing = `asking it to have ${plugged} pages plugged in`;
    const found = this.#find(guest, doing, signal);
    const { pluggablePages } = found.kernel.options;
    if (plugged > pluggablePages || plugged % PLUG_BLOCK !== 0) throw notPluggable(guest, doing, pluggablePages);
    found.setGrowth(plugged);
    return Promise.resolve();
  }

  async shrinkOverflow(guest: GuestId, to: Pages, signal: AbortSignal): Promise<string> {
    const { kernel } = this.#find(guest, `shrinking its frontswap to ${to} pages`, signal);
    const home = pages(kernel.shrinkFrontswap(to));
    const left = pages(kernel.memory.swap.frontswapPages);
    const why = left > to ? ', for want of free memory' : '';
    return Promise.resolve(`brought ${home} pages home from frontswap, ${left} are left${why}`);
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#stopListening();
    return Promise.resolve();
  }

  #roster(): ReadonlyMap<GuestId, SimGuest> {
    if (this.#isStale) this.#guests = rosterOf(this.#host);
    this.#isStale = false;
    return this.#guests;
  }

  /** The world lives up to now. It may be ahead already, when its owner moved it; then it waits for the clock. */
  #catchUp(): void {
    const now = this.#clock.now();
    if (now <= this.#host.now) return;
    try {
      this.#host.advanceTo(now);
    } catch (cause) {
      throw new HypervisorError({
        code: 'EIO',
        message: `moving the simulated host on to ${now} ms broke off: ${errorText(cause)}`,
        advice: 'This is a bug in the simulator or in a workload: please report it with this message',
        cause,
      });
    }
  }

  #find(guest: GuestId, doing: string, signal: AbortSignal): SimGuest {
    this.#refuse(doing, signal, guest);
    this.#catchUp();
    const found = this.#roster().get(guest);
    if (found === undefined) throw gone(guest, doing);
    return found;
  }

  #refuse(doing: string, signal: AbortSignal, guest?: GuestId): void {
    const details = guest === undefined ? {} : { guest };
    if (this.#closing.signal.aborted) {
      const message = `${doing}: the simulated host was closed`;
      throw new HypervisorError({ ...details, code: 'EUNAVAILABLE', message, advice: 'Create it anew' });
    }
    if (!signal.aborted) return;
    const message = `${doing}: ended before it was begun, by its time limit or by whoever asked`;
    throw new HypervisorError({ ...details, code: 'ETIMEDOUT', message, advice: 'Ask again', cause: signal.reason });
  }
}

const rosterOf = (host: SimHost): ReadonlyMap<GuestId, SimGuest> =>
  new Map(Array.from(host.guests(), (guest) => [`${KIND}/${guest.name}`, guest] as const));

const describe = (id: GuestId, { name, kernel }: SimGuest): GuestDescription => ({
  id,
  name,
  capabilities: {
    ...(kernel.options.hasTmem ? WITH_TMEM : WITHOUT_TMEM),
    ...(kernel.options.pluggablePages === 0 ? {} : { growthBlock: PLUG_BLOCK }),
  },
});

const WITH_TMEM: Capabilities = { canSetTarget: true, hasOverflowTier: true, isSimulated: true };
const WITHOUT_TMEM: Capabilities = { ...WITH_TMEM, hasOverflowTier: false };

const notPluggable = (guest: GuestId, doing: string, most: Pages): HypervisorError =>
  new HypervisorError({
    code: most === 0 ? 'EPERM' : 'EINVAL',
    guest,
    message: `${doing}: ${most} can be in all, in blocks of ${PLUG_BLOCK}`,
    advice: 'Give the simulated guest pluggablePages for that',
  });

const gone = (guest: GuestId, doing: string): HypervisorError =>
  new HypervisorError({
    code: 'EGONE',
    guest,
    message: `${doing}: there is no such guest on the simulated host`,
    advice: 'It was removed, or never there: list the guests to see which there are',
  });
