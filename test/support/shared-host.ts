/**
 * A host whose guests share its memory, for tests of the core alone: no loop, no ports, time in whole seconds. Guests obey, stand
 * still, or take what they were promised only later; a guest that takes memory which is not there throws.
 */
import assert from 'node:assert/strict';
import type { AlarmCause } from '../../src/control/alarm.js';
import type { Action } from '../../src/control/actions.js';
import type { Event } from '../../src/control/events.js';
import { encodeState, JOURNAL_FORMAT, type JournalRecord, type StepRecord } from '../../src/control/journal.js';
import type { GuestLimits } from '../../src/control/limits.js';
import type { Reading, Signals } from '../../src/control/reading.js';
import type { GuestDescription } from '../../src/control/ports.js';
import { SAFEGUARDS, type Safeguards } from '../../src/control/safeguards.js';
import { knownAt, NOT_REPORTED, type Signal } from '../../src/control/signal.js';
import { createStep, initialState, type ControlSettings, type ControlState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES, type Tunables } from '../../src/control/tunables.js';
import { hostPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { millis, pages, type Millis, type Pages } from '../../src/units.js';
import { readingOf } from './readings.js';

export const POOL = 'host';

export interface SharedGuest {
  /** Of its boot memory. */
  held: number;
  committed: number;
  maximum: number;
  /** `late`: it obeys, but takes what it was promised only when it is made lively. */
  behaviour: 'obeys' | 'ignores' | 'late';
  isSilent: boolean;
  target: number;
  readonly limits: GuestLimits | null;
  /** What it says, true or not, of what is not modelled here; `at` is the time of the look. */
  readonly claims: (at: Millis) => Partial<Signals>;
  /** What can be plugged in beyond its boot memory, in blocks of `BLOCK`; 0 = it cannot grow. */
  readonly pluggable: number;
  plugged: number;
  plugTarget: number;
  /** What it had been asked for in the beginning, which may be no whole blocks: each of its devices has blocks of its own. */
  readonly found: number;
  /** `keeps`: it plugs in, and never gives up what is plugged in. `never`: it does neither. */
  plugging: 'obeys' | 'keeps' | 'never';
  /** Most that it plugs in or out in a second. */
  plugSpeed: number;
  /** Without it nobody drives the guest, or says what it holds; what can be plugged in is seen all the same. */
  hasBalloon: boolean;
  /** Its emulator has all of its memory from the beginning, whatever the guest gives up. */
  keepsMemory: boolean;
}

/** Of what is plugged in: as with virtio's memory on x86, 2 MiB. */
export const BLOCK = 512;

export const sharedGuest = (given: Partial<SharedGuest>): SharedGuest => ({
  held: 100_000,
  committed: 20_000,
  maximum: 200_000,
  behaviour: 'obeys',
  isSilent: false,
  target: given.held ?? 100_000,
  limits: null,
  claims: () => ({}),
  pluggable: 0,
  plugged: 0,
  plugTarget: given.plugged ?? 0,
  found: given.plugged ?? 0,
  plugging: 'obeys',
  plugSpeed: 128 * BLOCK,
  hasBalloon: true,
  keepsMemory: false,
  ...given,
});

/** What its host does not have for others. */
const takenBy = ({ keepsMemory, held, plugged, maximum }: SharedGuest): number =>
  (keepsMemory ? maximum : held) + plugged;

export interface SharedHostOptions {
  readonly total: number;
  readonly reserve?: number;
  readonly guests: Readonly<Record<string, SharedGuest>>;
  readonly safeguards?: Partial<Safeguards>;
  readonly tunables?: Partial<Tunables>;
  /** What the configuration says of guests; default: nothing. */
  readonly limits?: ControlSettings['limits'];
  /** Takes the journal's records. */
  readonly record?: (record: JournalRecord) => void;
  /** What comes of a look on its way from the guests; default: it as it is. */
  readonly sight?: (reading: Reading) => Reading;
}

export class SharedHost {
  readonly #step;
  readonly #options: SharedHostOptions;
  readonly told: string[] = [];
  /** The sentences of what was told about the host as a whole. */
  readonly toldOfHost: string[] = [];
  readonly targets: { readonly at: number; readonly guest: string; readonly target: number }[] = [];
  readonly growths: { readonly at: number; readonly guest: string; readonly plugged: number }[] = [];
  /** How often each guest was looked at. */
  readonly looks = new Map<string, number>();
  state: ControlState<SelfshrinkMemory>;
  seconds = 0;
  #recorded = 0;
  /** Whether anybody could read the host's own memory. */
  isSeen = true;
  /** Whether looks succeed at all. */
  isReadable = true;
  /** How long a look takes, in milliseconds: what it brings is as old. */
  lookMs = 0;
  /** How long the answer to a request takes, in seconds; null: it never comes, and the request fails after 5 s. */
  answerAfter: number | null = 0;
  readonly #answers: { readonly at: number; readonly event: Event }[] = [];

  constructor(options: SharedHostOptions) {
    this.#options = options;
    this.#step = createStep(hostPolicy, { ...SAFEGUARDS, ...options.safeguards });
    this.state = initialState({
      tunables: { ...DEFAULT_TUNABLES, ...options.tunables },
      isDryRun: false,
      hasFrontswap: false,
      limits: options.limits ?? {},
    });
    for (const id of Object.keys(options.guests)) this.tell({ kind: 'guest-came', guest: this.#describe(id) });
  }

  #describe(id: string): GuestDescription {
    const { limits, pluggable, keepsMemory, hasBalloon } = this.guest(id);
    const can = { canSetTarget: hasBalloon, hasOverflowTier: false, isSimulated: true };
    const grows = pluggable === 0 || !hasBalloon ? {} : { growthBlock: pages(BLOCK) };
    const own = keepsMemory ? { keepsMemory } : {};
    const guest = { id, name: id, capabilities: { ...can, ...grows, ...own }, pool: POOL, isSeenWithAll: true };
    return limits === null ? guest : { ...guest, limits };
  }

  /** Its emulator keeps its memory from now on, or does so no more. */
  keep(id: string, keepsMemory: boolean): void {
    this.guest(id).keepsMemory = keepsMemory;
    this.change(id);
  }

  /** It can do other things now than before. */
  change(id: string): void {
    this.tell({ kind: 'guest-changed', guest: this.#describe(id) });
  }

  get free(): number {
    const { total, guests } = this.#options;
    return total - Object.values(guests).reduce((sum, guest) => sum + takenBy(guest), 0);
  }

  guest(id: string): SharedGuest {
    return this.#options.guests[id] ?? assert.fail();
  }

  /** Goes on second by second: guests move, the core looks where it wants to, and its targets reach the guests. */
  liveUntil(seconds: number): void {
    while (this.seconds < seconds) {
      this.seconds += 1;
      this.#moveGuests();
      this.tell(...this.#dueAnswers(), { kind: 'time-passed' });
      this.checkPromises();
    }
  }

  tell(...events: readonly Event[]): readonly Action[] {
    const at = millis(this.seconds * 1000);
    const before = this.state;
    const result = this.#step(before, events, at);
    this.state = result.state;
    this.#record(before, { ...result, kind: 'step', at, events });
    this.#obey(result.actions);
    return result.actions;
  }

  /** A start every hundred steps, as where a file of a rotated set begins. */
  #record(before: ControlState<SelfshrinkMemory>, step: StepRecord): void {
    const { record } = this.#options;
    if (record === undefined) return;
    const { at, kind, events, actions, decisions, wakeAt } = step;
    if (this.#recorded % 100 === 0) {
      const state = encodeState(before);
      record({ kind: 'start', format: JOURNAL_FORMAT, policy: hostPolicy.name, run: 'a run', at, state });
    }
    this.#recorded += 1;
    record({ kind, at, events, actions, decisions, wakeAt });
  }

  alarm(guest: string, cause: AlarmCause = 'stalled'): void {
    const alarm = {
      cause,
      at: millis(this.seconds * 1000),
      availablePages: null,
      totalPages: null,
    } as const;
    this.tell({ kind: 'guest-alarm', guest, alarm });
  }

  /** Looks at the host alone. */
  lookAtHost(): void {
    this.tell(this.#hostReading());
  }

  /** The worst case: every guest takes all that it was told it may have. */
  checkPromises(): void {
    const promised = Object.values(this.#options.guests).reduce(
      (sum, { held, target, plugged, plugTarget, keepsMemory }) =>
        sum + (keepsMemory ? 0 : Math.max(0, target - held)) + Math.max(0, plugTarget - plugged),
      0,
    );
    assert.ok(promised <= this.free, `${promised} pages are promised at ${this.seconds} s, and ${this.free} are free`);
  }

  #moveGuests(): void {
    for (const guest of Object.values(this.#options.guests)) {
      this.#movePlugged(guest);
      if (guest.behaviour === 'ignores' || (guest.behaviour === 'late' && guest.target > guest.held)) continue;
      const wanted = guest.target - guest.held;
      assert.ok(guest.keepsMemory || wanted <= this.free, `a guest takes ${wanted} pages that are not there`);
      guest.held = guest.target;
    }
  }

  #movePlugged(guest: SharedGuest): void {
    const { plugging, plugSpeed } = guest;
    const way = guest.plugTarget - guest.plugged;
    if (plugging === 'never' || (plugging === 'keeps' && way < 0)) return;
    assert.ok(way <= this.free, `a guest plugs in ${way} pages that are not there`);
    guest.plugged += Math.max(-plugSpeed, Math.min(plugSpeed, way));
  }

  #obey(actions: readonly Action[]): void {
    const looks = actions.flatMap((action) => (action.kind === 'look' ? [action.guest] : []));
    for (const action of actions) {
      if (action.kind === 'tell') this.told.push(`${action.guest ?? ''} ${action.code}`);
      if (action.kind === 'tell' && action.guest === null) this.toldOfHost.push(`${this.seconds} s ${action.text}`);
      if (action.kind !== 'set-target' && action.kind !== 'set-growth') continue;
      const { guest, id } = action;
      this.#take(action);
      if (this.answerAfter === 0) this.tell({ kind: 'action-done', guest, id, note: null });
      else this.#answers.push(this.#lateAnswer(guest, id));
    }
    for (const id of looks) this.looks.set(id, (this.looks.get(id) ?? 0) + 1);
    if (looks.length === 0) return;
    if (!this.isReadable) {
      const failure = { kind: 'reading-failed', code: 'ETIMEDOUT', message: 'the look took too long' } as const;
      this.tell(...looks.map((guest) => ({ ...failure, guest })));
      return;
    }
    this.tell(...(this.isSeen ? [this.#hostReading()] : []), ...looks.map((id) => this.#reading(id)));
  }

  #take(action: Extract<Action, { kind: 'set-target' | 'set-growth' }>): void {
    const at = this.seconds;
    const guest = this.guest(action.guest);
    if (action.kind === 'set-target') {
      this.targets.push({ at, guest: action.guest, target: action.target });
      guest.target = action.target;
      return;
    }
    const isWhole = action.plugged % BLOCK === 0 || action.plugged === guest.plugged || action.plugged === guest.found;
    assert.ok(isWhole && action.plugged <= guest.pluggable, `${action.plugged} pages to plug in`);
    this.growths.push({ at, guest: action.guest, plugged: action.plugged });
    guest.plugTarget = action.plugged;
  }

  #lateAnswer(guest: string, id: number): { readonly at: number; readonly event: Event } {
    if (this.answerAfter !== null) {
      return { at: this.seconds + this.answerAfter, event: { kind: 'action-done', guest, id, note: null } };
    }
    const failure = { kind: 'action-failed', code: 'ETIMEDOUT', message: 'no answer' } as const;
    return { at: this.seconds + 5, event: { ...failure, guest, id } };
  }

  #dueAnswers(): readonly Event[] {
    const due = this.#answers.filter(({ at }) => at <= this.seconds);
    this.#answers.splice(0, this.#answers.length, ...this.#answers.filter(({ at }) => at > this.seconds));
    return due.map(({ event }) => event);
  }

  #hostReading(): Event {
    const at = millis(this.seconds * 1000 - this.lookMs);
    const { total, reserve = 0 } = this.#options;
    const free = knownAt(pages(this.free), at);
    return {
      kind: 'host-reading',
      host: {
        pool: POOL,
        at,
        total: knownAt(pages(total), at),
        free,
        reserve: pages(reserve),
        ifSlow: 'Be quick',
      },
    };
  }

  #reading(id: string): Event {
    const { held, committed, isSilent, claims, pluggable, plugged, plugTarget } = this.guest(id);
    const at = millis(this.seconds * 1000);
    const [current, maximum] = [held + plugged, this.guest(id).maximum + pluggable];
    const total = current - 3_000;
    const free = Math.max(0, total - committed);
    const truth = readingOf({ at, current, total, committed, maximum, maxPfn: maximum, free });
    // Its page cache is empty, and stays so.
    const files = { cached: knownAt(pages(0), at), refaults: knownAt(0, at) };
    const size = (value: number): Signal<Pages> => knownAt(pages(value), at);
    const growth = { plugged: size(plugged), asked: size(plugTarget), pluggable: size(pluggable) };
    const reading = {
      ...truth,
      ...files,
      swapTotal: size(100_000),
      available: NOT_REPORTED,
      overflowUsed: NOT_REPORTED,
      ...(pluggable === 0 ? {} : { growth }),
      ...(this.guest(id).hasBalloon ? {} : { current: NOT_REPORTED }),
      ...claims(at),
    };
    const unsaid = { committed: NOT_REPORTED, total: NOT_REPORTED, reserve: NOT_REPORTED, free: NOT_REPORTED };
    const silent = { ...unsaid, cached: NOT_REPORTED, refaults: NOT_REPORTED };
    const seen = isSilent ? { ...reading, ...silent } : reading;
    return { kind: 'reading', guest: id, reading: this.#options.sight?.(seen) ?? seen };
  }
}
