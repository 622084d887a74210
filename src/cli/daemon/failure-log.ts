/**
 * What a person hears of looks and requests that fail. The core tells of each, and the journal has them all; in the log a guest is
 * named when it begins to fail and when that is over, and guests that fail for the same reason share a line. It decides nothing
 * about guests.
 */
import type { FailedPart, Tell } from '../../control/actions.js';
import type { GuestState } from '../../control/guest-state.js';
import type { GuestId } from '../../control/reading.js';
import type { ErrorCode } from '../../errors.js';
import type { Millis } from '../../units.js';
import { describeFailures, describeRecoveries, type GuestLine } from './failure-lines.js';

export interface FailureLogOptions {
  readonly say: (line: GuestLine) => void;
  readonly now: () => Millis;
}

/** Two rounds: each guest has its own time for a round, and what begins in one of them has come to all by then. */
const PAUSE = 10_000;
/** Failures that come and go are one trouble, and not a new one each time: it is over after six rounds without any. */
const CALM_FOR = 30_000;

/** What of one guest fails, or has failed a moment ago. */
interface Trouble {
  readonly guest: GuestId;
  readonly part: FailedPart;
  /** With which it failed so far. One that does not answer fails with two, in turn. */
  readonly codes: ReadonlySet<ErrorCode>;
  readonly count: number;
  /** Since when it works again; null = it does not. */
  readonly worksSince: Millis | null;
}

/** What is said of one part of what is done with guests. */
interface Talk {
  /** What has begun and was not said yet. */
  readonly begun: Map<ErrorCode, Map<GuestId, Tell>>;
  /** When anything was said last. */
  saidAt: number;
}

const nothingSaid = (): Talk => ({ begun: new Map(), saidAt: -Infinity });

const PARTS = ['look', 'target', 'growth', 'shrinking'] as const;

export class FailureLog {
  readonly #options: FailureLogOptions;
  readonly #troubles = new Map<string, Trouble>();
  readonly #talks: Readonly<Record<FailedPart, Talk>> = {
    look: nothingSaid(),
    target: nothingSaid(),
    growth: nothingSaid(),
    shrinking: nothingSaid(),
  };

  constructor(options: FailureLogOptions) {
    this.#options = options;
  }

  /** Takes what the core tells. What is no guest's failure is said at once. */
  take(tell: Tell): void {
    if (tell.guest !== null && tell.failure !== undefined) {
      this.#begin(tell.guest, tell, tell.failure);
      return;
    }
    this.#options.say(tell);
    const shrunk = tell.code === 'overflow-shrunk' ? this.#troubles.get(nameOf('shrinking', tell.guest)) : undefined;
    if (shrunk !== undefined) this.#end(shrunk);
  }

  /** To be called after each step, with what is known of a guest then; undefined for one that has left. */
  afterStep(find: (guest: GuestId) => GuestState<unknown> | undefined): void {
    for (const trouble of this.#troubles.values()) {
      const state = find(trouble.guest);
      if (state === undefined) this.#troubles.delete(nameOf(trouble.part, trouble.guest));
      else if (trouble.worksSince === null && isOver(trouble.part, state)) this.#end(trouble);
    }
    const now = this.#options.now();
    for (const part of PARTS) if (now - this.#talks[part].saidAt >= PAUSE) this.#sayAll(part, now, CALM_FOR);
  }

  /** Says what is still to be said. */
  close(): void {
    for (const part of PARTS) this.#sayAll(part, this.#options.now(), 0);
  }

  #begin(guest: GuestId, tell: Tell, { part, code }: NonNullable<Tell['failure']>): void {
    const name = nameOf(part, guest);
    const before = this.#troubles.get(name);
    const codes = new Set(before?.codes).add(code);
    this.#troubles.set(name, { guest, part, codes, count: (before?.count ?? 0) + 1, worksSince: null });
    if (before?.codes.has(code) === true) return;
    const { begun } = this.#talks[part];
    const alike = begun.get(code) ?? new Map<GuestId, Tell>();
    begun.set(code, alike.set(guest, tell));
  }

  #end(trouble: Trouble): void {
    this.#troubles.set(nameOf(trouble.part, trouble.guest), { ...trouble, worksSince: this.#options.now() });
  }

  #sayAll(part: FailedPart, now: Millis, calmFor: number): void {
    const talk = this.#talks[part];
    if (talk.begun.size === 0 && this.#troubles.size === 0) return;
    const lines = [
      ...Array.from(talk.begun, ([code, alike]) => describeFailures(part, code, [...alike.values()])).flat(),
      ...describeRecoveries(part, this.#takeEnded(part, now - calmFor)),
    ];
    if (lines.length === 0) return;
    talk.begun.clear();
    talk.saidAt = now;
    for (const line of lines) this.#options.say(line);
  }

  /** Those that have worked since then or longer; they are no trouble any more. */
  #takeEnded(part: FailedPart, since: number): readonly Trouble[] {
    const ended = [...this.#troubles.values()].filter(
      (trouble) => trouble.part === part && trouble.worksSince !== null && trouble.worksSince <= since,
    );
    for (const { guest } of ended) this.#troubles.delete(nameOf(part, guest));
    return ended;
  }
}

const nameOf = (part: FailedPart, guest: GuestId | null): string => `${part} ${guest ?? ''}`;

/** Only an answer says that a request was taken; that a tier was shrunk is told. */
function isOver(part: FailedPart, { readFailure, pursuit, growth }: GuestState<unknown>): boolean {
  if (part === 'look') return readFailure === null;
  const request = part === 'growth' ? growth?.pursuit : pursuit;
  return part !== 'shrinking' && request?.phase !== 'asked' && request?.phase !== 'failed';
}
