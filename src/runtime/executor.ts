/**
 * Carries out actions over the ports and reports what came of each as an event. Every look and every request is answered:
 * by the hypervisor, by its error, or by the time limit. One guest's failure is that guest's alone.
 */
import { unlessAborted } from '../waiting/abort.js';
import type { Action, GuestAction } from '../control/actions.js';
import type { Event } from '../control/events.js';
import { Lanes } from '../waiting/lanes.js';
import { CALL_TIME_LIMIT, type Clock, type Hypervisor, type ReadOutcome } from '../control/ports.js';
import type { GuestId } from '../control/reading.js';
import { errorText, HypervisorError, type ErrorCode } from '../errors.js';
import { millis, type Millis } from '../units.js';

/** Shrinking an overflow tier reads pages back from it: 0.15 s seen for an empty stripe, minutes for a full one on a disk. */
export const SHRINK_TIME_LIMIT = millis(600_000);

/** Which hypervisor a guest belongs to; undefined for a guest that has left. */
export type FindHypervisor = (guest: GuestId) => Hypervisor | undefined;

type Target = Extract<Action, { kind: 'set-target' }>;
type Grow = Extract<Action, { kind: 'set-growth' }>;
type Shrink = Extract<Action, { kind: 'shrink-overflow' }>;
/** What is answered by its id. */
type Asked = Target | Grow | Shrink;

export class Executor {
  readonly #targets = new Lanes(superseded);
  readonly #growths = new Lanes(superseded);
  readonly #shrinks = new Lanes(superseded);
  /** Guests that a look has not been answered for, its time limit or not. */
  readonly #looking = new Set<GuestId>();
  /** Requests for sizes. */
  #unanswered = 0;

  constructor(
    readonly find: FindHypervisor,
    readonly clock: Clock,
    readonly post: (event: Event) => void,
  ) {}

  /** Whether a request for a size has no answer yet, and its time limit has not passed. */
  get isAwaited(): boolean {
    return this.#unanswered > 0;
  }

  /** Starts all of them; returns at once. */
  run(actions: readonly GuestAction[]): void {
    const looks: GuestId[] = [];
    const targets: Target[] = [];
    const growths: Grow[] = [];
    const shrinks: Shrink[] = [];
    for (const action of actions) {
      if (action.kind === 'look') looks.push(action.guest);
      else if (action.kind === 'set-target') targets.push(action);
      else if (action.kind === 'set-growth') growths.push(action);
      else shrinks.push(action);
    }
    for (const [hypervisor, guests] of this.#byHypervisor(looks)) void this.#look(hypervisor, guests);
    this.#requestAll(targets, this.#targets, { length: CALL_TIME_LIMIT, isAwaited: true, call: setTarget });
    this.#requestAll(growths, this.#growths, { length: CALL_TIME_LIMIT, isAwaited: true, call: setGrowth });
    this.#requestAll(shrinks, this.#shrinks, { length: SHRINK_TIME_LIMIT, isAwaited: false, call: shrinkOverflow });
  }

  #byHypervisor(guests: readonly GuestId[]): Map<Hypervisor, GuestId[]> {
    const groups = new Map<Hypervisor, GuestId[]>();
    for (const guest of guests) {
      const hypervisor = this.find(guest);
      if (hypervisor === undefined) continue;
      if (this.#looking.has(guest)) {
        this.#failLook(guest, 'ETIMEDOUT', 'the hypervisor has not answered the look before this one yet');
        continue;
      }
      const group = groups.get(hypervisor);
      if (group === undefined) groups.set(hypervisor, [guest]);
      else group.push(guest);
    }
    return groups;
  }

  async #look(hypervisor: Hypervisor, guests: readonly GuestId[]): Promise<void> {
    const open = new Set(guests);
    for (const guest of guests) this.#looking.add(guest);
    const report = (outcome: ReadOutcome): void => {
      if (outcome.kind === 'host-reading') {
        this.post(outcome);
        return;
      }
      this.#looking.delete(outcome.guest);
      if (open.delete(outcome.guest)) this.post(asEvent(outcome));
    };
    const limit = this.clock.timeLimit(CALL_TIME_LIMIT);
    const reading = this.#read(hypervisor, guests, report, limit);
    try {
      await unlessAborted(reading, limit, outOfTime);
      for (const guest of open) this.#failLook(guest, 'EIO', 'the hypervisor said nothing about this guest');
    } catch (error) {
      for (const guest of open) this.#failLook(guest, codeOf(error), errorText(error));
    }
    open.clear();
  }

  /** Ends when the hypervisor's own call does, which may be long after the time limit. */
  async #read(
    hypervisor: Hypervisor,
    guests: readonly GuestId[],
    report: (outcome: ReadOutcome) => void,
    limit: AbortSignal,
  ): Promise<void> {
    try {
      await hypervisor.read(guests, report, limit);
    } finally {
      for (const guest of guests) this.#looking.delete(guest);
    }
  }

  #failLook(guest: GuestId, code: ErrorCode, message: string): void {
    this.post({ kind: 'reading-failed', guest, code, message });
  }

  /** All calls of a kind that begin together share one time limit: with a thousand guests, a timer for each would cost more. */
  #requestAll<Request extends Asked>(requests: readonly Request[], lanes: Lanes, how: How<Request>): void {
    if (requests.length === 0) return;
    const limit = this.clock.timeLimit(how.length);
    const open = new Set(requests);
    if (how.isAwaited) this.#unanswered += open.size;
    const answer = (request: Request, event: Event): void => {
      if (!open.delete(request)) return;
      if (how.isAwaited) this.#unanswered -= 1;
      if (open.size === 0) limit.removeEventListener('abort', onLimit);
      this.post(event);
    };
    const onLimit = (): void => {
      for (const request of open) answer(request, failed(request, outOfTime()));
    };
    limit.addEventListener('abort', onLimit, { once: true });
    for (const request of requests) {
      lanes
        .run(request.guest, () => this.#call(request, how.call, limit))
        .then(
          (note) => {
            answer(request, succeeded(request, note));
          },
          (error: unknown) => {
            answer(request, failed(request, error));
          },
        );
    }
  }

  /** A promise also of what the hypervisor throws before it has made one. */
  #call<Request extends Asked>(request: Request, call: Call<Request>, limit: AbortSignal): Promise<unknown> {
    const hypervisor = this.find(request.guest);
    if (hypervisor === undefined) return Promise.reject(gone());
    try {
      return call(hypervisor, request, limit);
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(errorText(error)));
    }
  }
}

/** What it resolves to is noted when it is a sentence about what was done. */
type Call<Request> = (hypervisor: Hypervisor, request: Request, limit: AbortSignal) => Promise<unknown>;

interface How<Request> {
  readonly length: Millis;
  /** Whether its answer is waited for by whoever leaves: it says what the guest is left with. */
  readonly isAwaited: boolean;
  readonly call: Call<Request>;
}

const setTarget: Call<Target> = (hypervisor, { guest, target }, limit) => hypervisor.setTarget(guest, target, limit);
const setGrowth: Call<Grow> = (hypervisor, { guest, plugged }, limit) =>
  hypervisor.setGrowth?.(guest, plugged, limit) ?? Promise.reject(cannotGrow());
const shrinkOverflow: Call<Shrink> = (hypervisor, { guest, to }, limit) => hypervisor.shrinkOverflow(guest, to, limit);

const succeeded = ({ guest, id }: Asked, note: unknown): Event => ({
  kind: 'action-done',
  guest,
  id,
  note: typeof note === 'string' ? note : null,
});

const failed = ({ guest, id }: Asked, error: unknown): Event => ({
  kind: 'action-failed',
  guest,
  id,
  code: codeOf(error),
  message: errorText(error),
});

const outOfTime = (): HypervisorError =>
  new HypervisorError({
    code: 'ETIMEDOUT',
    message: 'the hypervisor did not answer within the time limit',
    advice: 'It goes on with the other guests and asks this one again',
  });

const superseded = (): HypervisorError =>
  new HypervisorError({ code: 'EUNAVAILABLE', message: 'a newer request took the place of this one while it waited' });

const cannotGrow = (): HypervisorError =>
  new HypervisorError({ code: 'EPERM', message: 'its hypervisor cannot give guests more than their boot memory' });

const gone = (): HypervisorError =>
  new HypervisorError({ code: 'EGONE', message: 'the guest left before it could be asked' });

const codeOf = (error: unknown): ErrorCode => (error instanceof HypervisorError ? error.code : 'EIO');

function asEvent(outcome: Exclude<ReadOutcome, { kind: 'host-reading' }>): Event {
  if (outcome.kind === 'reading') return outcome;
  const { code, message } = outcome.error;
  return { kind: 'reading-failed', guest: outcome.guest, code, message };
}
