/**
 * The one way in which decisions are made: `step(state, events, now) → { state, actions, decisions, wakeAt }`. It hands each
 * event to the guest it is about and keeps what all guests share. It reads no clock, file, socket or random source: the
 * same events at the same times give the same decisions, which is what the journal's replay rests on.
 */
import { addPages, millis, NO_PAGES, type Millis, type Pages } from '../units.js';
import { errorText } from '../errors.js';
import type { Action, GuestDecision } from './actions.js';
import type { ActionId, Event, GuestEvent, HostEvent } from './events.js';
import { createGuestControl, type GuestControl, type GuestSettings } from './guest.js';
import { isOurs, isOwed } from './guest-give-back.js';
import type { StepContext } from './guest-requests.js';
import { wakeAtOf, wantOf, type GuestState } from './guest-state.js';
import { joinLimits, limitsFor, NO_LIMITS, type LimitsByName } from './limits.js';
import type { Safeguards } from './safeguards.js';
import type { GuestPolicy, TunableChange } from './policy.js';
import type { HostReading, PoolId, PoolView } from './pool.js';
import type { GuestDescription } from './ports.js';
import type { GuestId } from './reading.js';
import { Roster } from './roster.js';
import { StepGuests } from './step-guests.js';
import { StepHosts } from './step-hosts.js';
import { formatTunable, writeTunable, type TunableName, type Tunables } from './tunables.js';
import type { UnseenHosts } from './unseen-host.js';

/** Everything that the core knows. A step never changes it: the next one is another object. */
export interface ControlState<Memory> {
  readonly tunables: Tunables;
  /** True: decide and log, change nothing. */
  readonly isDryRun: boolean;
  /** An overflow tier (frontswap, or what stands in for it) is there for at least one guest. */
  readonly hasFrontswap: boolean;
  /** The administrator's limits, by guest id or name. */
  readonly limits: LimitsByName;
  readonly guests: Roster<Memory>;
  /** The hosts' own memory as last read, by pool. */
  readonly pools: Readonly<Record<PoolId, HostReading>>;
  /** Hosts of which it was told that nobody knows what they have free. */
  readonly unseenHosts: UnseenHosts;
  readonly nextId: ActionId;
}

/** The next state, and what follows from the events. Actions are in the order in which they came about. */
export interface StepResult<Memory> {
  readonly state: ControlState<Memory>;
  readonly actions: readonly Action[];
  readonly decisions: readonly GuestDecision[];
  /** When time alone makes the next step due; null = only an event does. */
  readonly wakeAt: Millis | null;
}

/** `now` is never before that of the step before. Never throws for what a guest or a hypervisor says: such a guest is left alone. */
export type Step<Memory> = (state: ControlState<Memory>, events: readonly Event[], now: Millis) => StepResult<Memory>;

/** What is settled before any guest has come. */
export type ControlSettings = Omit<ControlState<never>, 'guests' | 'pools' | 'unseenHosts' | 'nextId'>;

/** The state before any guest has come. */
export function initialState<Memory>(settings: ControlSettings): ControlState<Memory> {
  return { ...settings, guests: Roster.of<Memory>([]), pools: {}, unseenHosts: {}, nextId: 1 };
}

/** The step with `policy` as the rule for every guest. */
export function createStep<Memory>(policy: GuestPolicy<Memory>, safeguards?: Safeguards): Step<Memory> {
  const control = createGuestControl(policy, safeguards);
  return (state, events, now) => {
    const run = new StepRun(control, state, now);
    for (const event of events) run.handle(event);
    return run.finish();
  };
}

/** What can happen to one guest within a step. */
type Change =
  | GuestEvent
  | { readonly kind: 'time-passed' }
  | ({ readonly kind: 'retuned' } & TunableChange)
  | { readonly kind: 'released' };

const TIME_PASSED: Change = { kind: 'time-passed' };

/** The working copy of one step. It lives for one call of `step`; what goes in and what comes out is never changed. */
class StepRun<Memory> implements StepContext {
  readonly actions: Action[] = [];
  readonly decisions: GuestDecision[] = [];
  readonly #guests: StepGuests<Memory>;
  readonly #hosts: StepHosts;
  #nextId: ActionId;
  tunables: Tunables;

  constructor(
    readonly control: GuestControl<Memory>,
    readonly before: ControlState<Memory>,
    readonly now: Millis,
  ) {
    this.#guests = new StepGuests(before.guests);
    this.#hosts = new StepHosts(before, now, this.emit);
    this.#nextId = before.nextId;
    this.tunables = before.tunables;
  }

  readonly nextId = (): ActionId => this.#nextId++;
  readonly emit = (action: Action): void => void this.actions.push(action);
  readonly note = (decision: GuestDecision): void => void this.decisions.push(decision);

  handle(event: Event): void {
    switch (event.kind) {
      case 'reading':
      case 'reading-failed':
      case 'guest-alarm':
      case 'guest-moved':
      case 'action-done':
      case 'action-failed':
        this.#handleGuest(event);
        break;
      default:
        this.#handleHost(event);
    }
  }

  finish(): StepResult<Memory> {
    for (const pool of this.#hosts.seen) this.#giveBackAgain(pool);
    const wakeAt = this.#lookWhereDue();
    const { isDryRun, hasFrontswap, limits } = this.before;
    const state = {
      tunables: this.tunables,
      isDryRun,
      hasFrontswap,
      limits,
      guests: this.#guests.toRoster(),
      ...this.#hosts.known,
      nextId: this.#nextId,
    };
    return {
      state,
      actions: this.actions,
      decisions: this.decisions,
      wakeAt: wakeAt === Infinity ? null : millis(wakeAt),
    };
  }

  /** Says when the next is due; `Infinity`: none will be. Counts by hand: it is over all guests in each step. */
  #lookWhereDue(): number {
    let wakeAt = Infinity;
    const { states } = this.#guests;
    for (let index = 0; index < states.length; index += 1) {
      const before = states[index];
      if (before === undefined) continue;
      let due: number = wakeAtOf(before);
      if (due <= this.now) {
        const looking = this.#safely(before, TIME_PASSED);
        this.#guests.put(index, looking);
        due = wakeAtOf(looking);
      }
      if (due < wakeAt) wakeAt = due;
    }
    return wakeAt;
  }

  /** News of a guest that has left in the meantime is no longer of interest. */
  #handleGuest(event: GuestEvent): void {
    const found = this.#guests.find(event.guest);
    if (found === undefined) return;
    const { pool } = found.state.guest;
    if (event.kind === 'reading-failed' && pool !== undefined) this.#hosts.noteFailedLook(pool, event.message);
    this.#guests.put(found.index, this.#safely(found.state, event));
  }

  /** A bug that one guest's numbers bring to light costs that guest its step, and nobody else theirs. */
  #safely(guest: GuestState<Memory>, change: Change): GuestState<Memory> {
    const asked = this.actions.length;
    const decided = this.decisions.length;
    try {
      return this.#apply(guest, change);
    } catch (error) {
      this.actions.length = asked;
      this.decisions.length = decided;
      const message = `a bug in selfballoon, please report it: ${errorText(error)}`;
      return this.control.handle(guest, { kind: 'reading-failed', guest: guest.guest.id, code: 'EIO', message }, this);
    }
  }

  #apply(guest: GuestState<Memory>, change: Change): GuestState<Memory> {
    switch (change.kind) {
      case 'time-passed':
        return this.control.passTime(guest, this);
      case 'retuned':
        return this.control.retune(guest, change, this);
      case 'released':
        return this.control.release(guest, this);
      default:
        return this.control.handle(guest, change, this);
    }
  }

  #changeAll(change: Change): void {
    this.#guests.states.forEach((guest, index) => {
      this.#guests.put(index, this.#safely(guest, change));
    });
  }

  #handleHost(event: HostEvent): void {
    switch (event.kind) {
      case 'guest-came':
        this.#welcome(event.guest);
        break;
      case 'guest-changed':
        this.#change(event.guest);
        break;
      case 'host-reading':
        this.#hosts.observe(event.host);
        break;
      case 'guest-left':
        this.#dismiss(event.guest);
        break;
      case 'tunable-write':
        this.#writeTunable(event);
        break;
      case 'release':
        this.#release(event.id);
        break;
      case 'time-passed':
        break;
    }
  }

  #welcome(guest: GuestDescription): void {
    const state = this.control.begin(guest, this.#settingsOf(guest), this);
    this.#guests.add(state);
    this.#tell('info', 'guest-came', guest.id, guest.capabilities.canSetTarget ? 'found' : 'found, observed only');
  }

  #settingsOf(guest: GuestDescription): GuestSettings {
    const { limits, isDryRun } = this.before;
    const configured = limitsFor(limits, guest) ?? NO_LIMITS;
    return { limits: joinLimits(configured, guest.limits ?? NO_LIMITS, guest.floorFirm), isDriven: !isDryRun };
  }

  #change(guest: GuestDescription): void {
    const found = this.#guests.find(guest.id);
    if (found === undefined) return;
    this.#guests.put(found.index, this.control.change(found.state, guest, this.#settingsOf(guest)));
  }

  /** What guests could not be given back when they were released, now that it is known what their host has free. */
  #giveBackAgain(pool: PoolId): void {
    const isOf = (state: GuestState<Memory>): boolean => state.guest.pool === pool && isOwed(state);
    if (!this.#guests.states.some(isOf)) return;
    this.#shareOut(isOf);
    // One after the other: what the first was told is not free for the second.
    this.#guests.states.forEach((state, index) => {
      if (isOf(state)) this.#guests.put(index, this.#safely(state, { kind: 'released' }));
    });
    this.#hosts.endSharing();
  }

  /** What a guest's growth must fit in: what is free, less what other guests were promised and have not taken. */
  readonly poolFor = ({ pool, id }: GuestDescription): PoolView | null => {
    return pool === undefined ? null : this.#hosts.viewOf(pool, this.#guests.promisedBeside(pool, id));
  };

  #dismiss(guest: GuestId): void {
    if (this.#guests.find(guest) === undefined) return;
    this.#guests.remove(guest);
    this.#tell('info', 'guest-left', guest, 'left');
  }

  #writeTunable(event: Extract<HostEvent, { kind: 'tunable-write' }>): void {
    const { hasFrontswap } = this.before;
    const outcome = writeTunable(this.tunables, { ...event, hasFrontswap });
    if (outcome.result === 'ok') {
      this.#setTunables(outcome.name, outcome.tunables);
      this.emit({ kind: 'answer', id: event.id, answer: { result: 'ok' } });
      return;
    }
    this.#tell('warning', 'tunable-refused', null, `${outcome.result}: ${outcome.why}`);
    this.emit({ kind: 'answer', id: event.id, answer: outcome });
  }

  #setTunables(name: TunableName, after: Tunables): void {
    const change = { name, before: this.tunables, after };
    this.tunables = after;
    this.#changeAll({ kind: 'retuned', ...change });
    const text = formatTunable(after, name);
    this.emit({ kind: 'show-tunable', name, text });
    this.#tell('info', 'tunable-set', null, `${name} is now ${text}`);
  }

  /** Switches both controllers off first: what has been given back must not be taken again. */
  #release(id: ActionId): void {
    this.#setTunables('selfballooning', { ...this.tunables, selfballooning: 0 });
    if (this.before.hasFrontswap) {
      this.#setTunables('frontswap_selfshrinking', { ...this.tunables, frontswap_selfshrinking: 0 });
    }
    this.#shareOut((state) => state.isDriven && isOurs(state));
    this.#changeAll({ kind: 'released' });
    this.#hosts.endSharing();
    this.#tell('info', 'released', null, 'everything is being given back; selfballooning is 0 now');
    this.emit({ kind: 'answer', id, answer: { result: 'ok' } });
  }

  /** For those that want everything at once. */
  #shareOut(gets: (state: GuestState<Memory>) => boolean): void {
    const wanted = new Map<PoolId, Pages>();
    for (const state of this.#guests.states.filter(gets)) {
      const { pool } = state.guest;
      if (pool !== undefined) wanted.set(pool, addPages(wanted.get(pool) ?? NO_PAGES, wantOf(state)));
    }
    for (const [pool, want] of wanted) {
      const others = this.#guests.promisedTo((state) => state.guest.pool === pool && !gets(state));
      this.#hosts.shareOut(pool, want, others);
    }
  }

  #tell(
    level: 'info' | 'warning',
    code: Extract<Action, { kind: 'tell' }>['code'],
    guest: GuestId | null,
    text: string,
  ): void {
    this.emit({ kind: 'tell', level, code, guest, text });
  }
}
