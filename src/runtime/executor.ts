/**
 * Carries out actions over the ports and reports what came of each as an event. Every look and every request is answered:
 * by the hypervisor, by its error, or by the time limit. One guest's failure is that guest's alone.
 */
import type { Action, GuestAction } from '../control/actions.js';
import type { Event } from '../control/events.js';
import type { Clock, Hypervisor, ReadOutcome } from '../control/ports.js';
import type { GuestId } from '../control/reading.js';
import { errorText, HypervisorError, type ErrorCode } from '../errors.js';
import { millis } from '../units.js';

/** No answer to a look or a request within this is a failure. Seen: 0.4 to 40 ms; a busy host may take far longer. */
export const CALL_TIME_LIMIT = millis(5_000);
/** Shrinking an overflow tier reads pages back from it: 0.15 s seen for an empty stripe, minutes for a full one on a disk. */
export const SHRINK_TIME_LIMIT = millis(600_000);

/** Which hypervisor a guest belongs to; undefined for a guest that has left. */
export type FindHypervisor = (guest: GuestId) => Hypervisor | undefined;

type Target = Extract<Action, { kind: 'set-target' }>;
type Shrink = Extract<Action, { kind: 'shrink-overflow' }>;

export class Executor {
  constructor(
    readonly find: FindHypervisor,
    readonly clock: Clock,
    readonly post: (event: Event) => void,
  ) {}

  /** Starts all of them; returns at once. */
  run(actions: readonly GuestAction[]): void {
    const looks: GuestId[] = [];
    for (const action of actions) {
      if (action.kind === 'look') looks.push(action.guest);
      else void this.#request(action);
    }
    for (const [hypervisor, guests] of this.#byHypervisor(looks)) void this.#look(hypervisor, guests);
  }

  #byHypervisor(guests: readonly GuestId[]): Map<Hypervisor, GuestId[]> {
    const groups = new Map<Hypervisor, GuestId[]>();
    for (const guest of guests) {
      const hypervisor = this.find(guest);
      if (hypervisor === undefined) continue;
      const group = groups.get(hypervisor);
      if (group === undefined) groups.set(hypervisor, [guest]);
      else group.push(guest);
    }
    return groups;
  }

  async #look(hypervisor: Hypervisor, guests: readonly GuestId[]): Promise<void> {
    const open = new Set(guests);
    const report = (outcome: ReadOutcome): void => {
      if (open.delete(outcome.guest)) this.post(asEvent(outcome));
    };
    const limit = this.clock.timeLimit(CALL_TIME_LIMIT);
    try {
      await withinLimit(hypervisor.read(guests, report, limit), limit, 'a look');
      for (const guest of open) this.#failLook(guest, 'EIO', 'the hypervisor said nothing about this guest');
    } catch (error) {
      for (const guest of open) this.#failLook(guest, codeOf(error), errorText(error));
    }
    open.clear();
  }

  #failLook(guest: GuestId, code: ErrorCode, message: string): void {
    this.post({ kind: 'reading-failed', guest, code, message });
  }

  async #request(action: Target | Shrink): Promise<void> {
    const { guest, id } = action;
    const hypervisor = this.find(guest);
    if (hypervisor === undefined) return;
    try {
      const note = await this.#ask(hypervisor, action);
      this.post({ kind: 'action-done', guest, id, note });
    } catch (error) {
      this.post({ kind: 'action-failed', guest, id, code: codeOf(error), message: errorText(error) });
    }
  }

  async #ask(hypervisor: Hypervisor, action: Target | Shrink): Promise<string | null> {
    if (action.kind === 'set-target') {
      const limit = this.clock.timeLimit(CALL_TIME_LIMIT);
      await withinLimit(hypervisor.setTarget(action.guest, action.target, limit), limit, 'setting the target');
      return null;
    }
    const limit = this.clock.timeLimit(SHRINK_TIME_LIMIT);
    return withinLimit(hypervisor.shrinkOverflow(action.guest, action.to, limit), limit, 'shrinking the overflow tier');
  }
}

const codeOf = (error: unknown): ErrorCode => (error instanceof HypervisorError ? error.code : 'EIO');

function asEvent(outcome: ReadOutcome): Event {
  if (outcome.kind === 'reading') return outcome;
  const { code, message } = outcome.error;
  return { kind: 'reading-failed', guest: outcome.guest, code, message };
}

/** Waits for `call`, but not past `limit`, even if the call does not heed it. */
function withinLimit<T>(call: Promise<T>, limit: AbortSignal, what: string): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(new HypervisorError({ code: 'ETIMEDOUT', message: `${what} was not answered within its time limit` }));
    };
    limit.addEventListener('abort', onAbort, { once: true });
    if (limit.aborted) onAbort();
    call.then(resolve, reject).finally(() => {
      limit.removeEventListener('abort', onAbort);
    });
  });
}
