/**
 * The loop. It carries events to the step and the step's actions to the ports, and nothing else: it decides nothing. The daemon
 * and the simulator run this same loop; only the ports differ.
 */
import type { Action, GuestAction, Tell } from '../control/actions.js';
import type { ActionId, Event } from '../control/events.js';
import { isOwed } from '../control/guest-give-back.js';
import type { GuestState } from '../control/guest-state.js';
import { encodeState, JOURNAL_FORMAT, type Journal, type StartRecord } from '../control/journal.js';
import type { Clock, GuestNotice, Hypervisor } from '../control/ports.js';
import type { Pursuit } from '../control/pursuit.js';
import type { GuestId } from '../control/reading.js';
import type { ControlState, Step, StepResult } from '../control/step.js';
import { errorText } from '../errors.js';
import { addMillis, millis, minMillis, type Millis } from '../units.js';
import type { CommandAnswer, Commands, TunableListener } from './commands.js';
import { Executor } from './executor.js';
import { Inbox } from './inbox.js';
import { PublishedState, type ReadModel } from './read-model.js';

/** What a loop is made of: the step, its first state, and the ports. */
export interface LoopParts<Memory> {
  readonly step: Step<Memory>;
  readonly policyName: string;
  /** Names this run in the journal, so that a replay can tell a rotated file from another run. Default: none. */
  readonly runId?: string;
  readonly state: ControlState<Memory>;
  readonly clock: Clock;
  readonly hypervisors: readonly Hypervisor[];
  readonly journal: Journal | null;
  readonly tell: (tell: Tell) => void;
  /** Told of every tunable that got a new value. */
  readonly showTunable?: TunableListener;
  /** Called after each step, for whoever shows the state as it changes. */
  readonly afterStep?: (result: StepResult<Memory>) => void;
}

/** How long giving everything back may take at the end before we leave without the answers. */
export const FAREWELL_MAX = millis(10_000);
/** How long a host's guests wait for memory that has yet to be seen as free; and where the last look at them failed. */
const OWED_MAX = millis(3_000);
const OWED_UNSEEN_MAX = millis(5_000);
/** A hypervisor that was lost is asked again after this. */
const WATCH_AGAIN_AFTER = millis(5_000);
const ENDED: CommandAnswer = { result: 'EUNAVAILABLE', why: 'the daemon is shutting down' };

/** A loop over one state. `run` it once; `giveBack` may be called when that has ended. */
export class Loop<Memory> implements Commands {
  readonly #parts: LoopParts<Memory>;
  readonly #inbox: Inbox;
  readonly #executor: Executor;
  readonly #owners = new Map<GuestId, Hypervisor>();
  readonly #questions = new Map<ActionId, (answer: CommandAnswer) => void>();
  readonly #published: PublishedState<Memory>;
  #state: ControlState<Memory>;
  #lastQuestion = 0;
  #isEnded = false;

  constructor(parts: LoopParts<Memory>) {
    this.#parts = parts;
    this.#state = parts.state;
    this.#inbox = new Inbox(parts.clock);
    this.#executor = new Executor(
      (guest) => this.#owners.get(guest),
      parts.clock,
      (event) => {
        this.#post(event);
      },
    );
    const sources = parts.hypervisors.map(({ description }) => description);
    this.#published = new PublishedState(sources, parts.state, parts.clock.now());
  }

  get readModel(): ReadModel {
    return this.#published;
  }

  get state(): ControlState<Memory> {
    return this.#state;
  }

  writeTunable(write: Parameters<Commands['writeTunable']>[0]): Promise<CommandAnswer> {
    return this.#ask((id) => ({ kind: 'tunable-write', id, ...write }));
  }

  release(): Promise<CommandAnswer> {
    return this.#ask((id) => ({ kind: 'release', id }));
  }

  /** Runs until `signal` is aborted. Leaves everything as it is; `giveBack` first where that is not wanted. */
  async run(signal: AbortSignal): Promise<void> {
    const watching = new AbortController();
    const watches = this.#parts.hypervisors.map((hypervisor) => this.#watch(hypervisor, watching.signal));
    while (!signal.aborted) {
      const wakeAt = this.#turn();
      await this.#inbox.wait(wakeAt, signal);
    }
    watching.abort();
    await Promise.all(watches);
    this.#isEnded = true;
    for (const answer of this.#questions.values()) answer(ENDED);
    this.#questions.clear();
  }

  /** Gives all memory back, and waits until every guest's hypervisor has answered. Says which guests did not. */
  async giveBack(): Promise<readonly GuestId[]> {
    const { clock } = this.#parts;
    const until = addMillis(clock.now(), FAREWELL_MAX);
    const limit = clock.timeLimit(FAREWELL_MAX);
    this.#post({ kind: 'release', id: 0 });
    this.#turn();
    const began = clock.now();
    const isOwedInTime = (state: GuestState<Memory>): boolean =>
      isOwed(state) && clock.now() < addMillis(began, state.readFailure === null ? OWED_MAX : OWED_UNSEEN_MAX);
    // That a guest is seen to have what it was asked for is no answer: an older request may not have come to it yet.
    const isWaitedFor = (): boolean =>
      !this.#inbox.isEmpty || this.#executor.isAwaited || this.#guestsWhere(isOwedInTime).length > 0;
    while (isWaitedFor() && clock.now() < until) {
      const wakeAt = this.#turn();
      if (isWaitedFor()) await this.#inbox.wait(minMillis(wakeAt ?? until, until), limit);
    }
    return this.#notReleased();
  }

  /** One turn: everything that has happened, one step, and what follows from it. */
  #turn(): Millis | null {
    const { clock, step, journal } = this.#parts;
    const taken = this.#inbox.take();
    const events: readonly Event[] = taken.length > 0 ? taken : [{ kind: 'time-passed' }];
    const at = clock.now();
    const before = this.#state;
    const result = step(before, events, at);
    this.#state = result.state;
    const { actions, decisions, wakeAt } = result;
    // First of all: a guest that is short of memory must not wait for a disk that the journal is on.
    this.#carryOut(actions);
    journal?.record({ kind: 'step', at, events, actions, decisions, wakeAt }, () => this.#startRecord(before, at));
    this.#published.publish(result.state, at);
    this.#parts.afterStep?.(result);
    return wakeAt;
  }

  #startRecord(state: ControlState<Memory>, at: Millis): StartRecord {
    const { policyName: policy, runId } = this.#parts;
    const run = runId === undefined ? {} : { run: runId };
    return { kind: 'start', format: JOURNAL_FORMAT, policy, ...run, at, state: encodeState(state) };
  }

  #carryOut(actions: readonly Action[]): void {
    const guestActions: GuestAction[] = [];
    for (const action of actions) {
      switch (action.kind) {
        case 'tell':
          this.#parts.tell(action);
          break;
        case 'answer':
          this.#answer(action.id, action.answer);
          break;
        case 'show-tunable':
          this.#parts.showTunable?.(action.name, action.text);
          break;
        default:
          guestActions.push(action);
      }
    }
    this.#executor.run(guestActions);
  }

  /** Follows a hypervisor's guests; begins again when that fails, because a host without news is a host without control. */
  async #watch(hypervisor: Hypervisor, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const notice of hypervisor.watchGuests(signal)) this.#notice(hypervisor, notice);
        return;
      } catch (error) {
        this.#warn(`${hypervisor.kind}: lost sight of the guests: ${errorText(error)}; trying again`);
        await this.#parts.clock.sleepUntil(addMillis(this.#parts.clock.now(), WATCH_AGAIN_AFTER), signal);
      }
    }
  }

  #notice(hypervisor: Hypervisor, notice: GuestNotice): void {
    if (notice.kind === 'guest-came') this.#owners.set(notice.guest.id, hypervisor);
    else if (notice.kind === 'guest-left') this.#owners.delete(notice.guest);
    this.#post(notice);
  }

  #warn(text: string): void {
    this.#parts.tell({ kind: 'tell', level: 'warning', code: 'action-failed', guest: null, text });
  }

  #post(event: Event): void {
    if (this.#inbox.post(event)) return;
    // Only these two carry the number of a question; an action's number is another one.
    if (event.kind === 'tunable-write' || event.kind === 'release') {
      this.#answer(event.id, { result: 'EUNAVAILABLE', why: 'the daemon has too much to do; ask again later' });
    }
    this.#warn(`the queue of events is full; lost: ${event.kind}`);
  }

  #ask(event: (id: ActionId) => Event): Promise<CommandAnswer> {
    if (this.#isEnded) return Promise.resolve(ENDED);
    const id = ++this.#lastQuestion;
    return new Promise((resolve) => {
      this.#questions.set(id, resolve);
      this.#post(event(id));
    });
  }

  #answer(id: ActionId, answer: CommandAnswer): void {
    this.#questions.get(id)?.(answer);
    this.#questions.delete(id);
  }

  #notReleased(): readonly GuestId[] {
    return this.#guestsWhere((state) => {
      const { isDriven, isReleased, pursuit, growth } = state;
      return isOwed(state) || (isDriven && (!isReleased || [pursuit, growth?.pursuit].some(isUnsettled)));
    });
  }

  #guestsWhere(test: (state: GuestState<Memory>) => boolean): GuestId[] {
    return this.#state.guests.list.filter(test).map(({ guest }) => guest.id);
  }
}

const isUnsettled = (request: Pursuit | null | undefined): boolean =>
  request?.phase === 'asked' || request?.phase === 'failed';
