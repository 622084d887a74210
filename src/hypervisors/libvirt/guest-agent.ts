/** QEMU's agent in a domain's guest, asked through libvirt, which holds its socket. It does not know what the agent is asked for. */
import { unlessAborted } from '../../waiting/abort.js';
import type { Clock } from '../../control/ports.js';
import { errorText } from '../../errors.js';
import {
  AgentError,
  AgentReader,
  type AgentChannel,
  type AgentCode,
  type AgentSignals,
} from '../../guest-agent/index.js';
import type { InsideSource } from '../../inside/index.js';
import { addMillis, millis, minMillis, type Millis } from '../../units.js';
import { AGENT_SLOW_AFTER, VirshError, type Virsh, type VirshCode } from '../../virsh/index.js';

export interface DomainAgentOptions {
  readonly uuid: string;
  readonly clock: Clock;
  /** The connection that there is. Throws where there is none. */
  readonly connected: () => Pick<Virsh, 'askAgent'>;
  /** Told what a person should know of. */
  readonly tell: (message: string) => void;
}

/** A failure that took as long came of waiting for the agent. libvirt refuses at once where no agent is connected, and waits 3 s for one that is. */
const WAITED = millis(1_000);
/**
 * Whoever hangs keeps one of the two sessions of slow agents for 3 s whenever he is asked. With these pauses there may be some forty such
 * agents on a host before those that are slow have to wait longer.
 */
const PAUSE_FIRST = millis(5_000);
/** One that has answered may be in a guest that is short of memory or of processors just now, of which nothing is known meanwhile. */
const PAUSE_OF_KNOWN = millis(1_000);
const PAUSE_MAX = millis(60_000);
/** A guest opens and closes its agent's port as it likes: such news excuses its silence no more than once in this time. */
const EXCUSED_EVERY = millis(30_000);
/** One that was slow is quick again after so many quick answers: three looks. */
const QUICK_AGAIN = 20;

export class DomainAgent implements InsideSource {
  readonly #options: DomainAgentOptions;
  readonly #reader: AgentReader;
  #pause: Millis | null = null;
  /** Since it was last told that it does not. */
  #hasAnswered = false;
  #askAgainAt: Millis | null = null;
  #quickInRow = QUICK_AGAIN;
  /** How often another agent may have taken the place of the one before. */
  #forgotten = 0;
  /** Which of these times counted: what was asked before it says nothing of the agent that there is. */
  #excused = 0;
  #excusedAt: Millis | null = null;

  readonly #ask: AgentChannel['ask'] = async (command, args, signal) => {
    const { uuid, clock, connected } = this.#options;
    // Before that it waits for others, which is not the agent's silence.
    const sent: { at: Millis | null } = { at: null };
    const took = (): number => (sent.at === null ? 0 : clock.now() - sent.at);
    const onBegun = (): void => {
      sent.at = clock.now();
    };
    const forgotten = this.#forgotten;
    const isExcused = (): boolean => this.#excused > forgotten;
    const turn = { isSlow: this.#quickInRow < QUICK_AGAIN, onBegun };
    try {
      const answer = connected().askAgent(uuid, { execute: command, arguments: args }, signal, turn);
      const tooLate = (): AgentError => (sent.at === null ? notSent : tooSlow)(command, signal.reason);
      const value = await unlessAborted(answer, signal, tooLate);
      this.#pause = null;
      this.#hasAnswered = true;
      return value;
    } catch (error) {
      const failure = asAgentError(command, error);
      const hasAnswered = failure.agentCode === 'EREFUSED';
      if (took() >= WAITED && !hasAnswered && !isExcused()) this.#leaveAlone(clock.now());
      throw failure;
    } finally {
      if (sent.at !== null && !isExcused()) this.#quickInRow = took() > AGENT_SLOW_AFTER ? 0 : this.#quickInRow + 1;
    }
  };

  /** Nothing is asked before the first look. */
  constructor(options: DomainAgentOptions) {
    this.#options = options;
    const { clock, tell } = options;
    this.#reader = new AgentReader({ channel: { ask: this.#ask }, clock, tell });
  }

  #leaveAlone(now: Millis): void {
    const first = this.#hasAnswered ? PAUSE_OF_KNOWN : PAUSE_FIRST;
    this.#pause = this.#pause === null ? first : minMillis(millis(this.#pause * 2), PAUSE_MAX);
    this.#askAgainAt = addMillis(now, this.#pause);
    if (!this.#hasAnswered) return;
    this.#hasAnswered = false;
    this.#options.tell(
      'its guest agent does not answer any more; it is asked again after pauses that grow to a minute',
    );
  }

  get signals(): AgentSignals {
    return this.#reader.signals;
  }

  look(): Promise<void> {
    const isLeftAlone = this.#askAgainAt !== null && this.#options.clock.now() < this.#askAgainAt;
    return isLeftAlone ? Promise.resolve() : this.#reader.look();
  }

  forget(): void {
    this.#forgotten += 1;
    this.#excuse(this.#options.clock.now());
    this.#reader.forget();
  }

  /** Whoever is there now was not silent yet. */
  #excuse(now: Millis): void {
    if (this.#excusedAt !== null && now < addMillis(this.#excusedAt, EXCUSED_EVERY)) return;
    this.#excusedAt = now;
    this.#excused = this.#forgotten;
    this.#pause = null;
    this.#askAgainAt = null;
  }

  close(limit: AbortSignal): Promise<void> {
    return this.#reader.close(limit);
  }
}

/** What libvirt could not carry to the agent or back. A refusal that is not the agent's own means that nobody is there to be asked. */
const CODES: Readonly<Record<VirshCode, AgentCode>> = {
  EREFUSED: 'EUNAVAILABLE',
  EGONE: 'EUNAVAILABLE',
  EACCES: 'EACCES',
  EUNAVAILABLE: 'EUNAVAILABLE',
  ETIMEDOUT: 'ETIMEDOUT',
  EPROTO: 'EPROTO',
  EBUSY: 'EBUSY',
  EINVAL: 'EPROTO',
};

/** The look is over, and nobody waits any more. It may be under way. */
const tooSlow = (command: string, cause: unknown): AgentError =>
  new AgentError({ agentCode: 'ETIMEDOUT', message: `the guest agent did not answer ${command} in time`, cause });

/** The look is over, and others had their turns until then. */
const notSent = (command: string, cause: unknown): AgentError =>
  new AgentError({
    agentCode: 'ETIMEDOUT',
    message: `the guest agent was not asked for ${command} in time: others were asked before`,
    cause,
  });

/** How libvirt begins what the agent itself answered with an error (src/qemu/qemu_agent.c, 9.0). */
const BY_THE_AGENT = /unable to execute QEMU agent command/;

/** libvirt passes the agent's words on, and not the class of its error. */
function asAgentError(command: string, error: unknown): AgentError {
  if (error instanceof AgentError) return error;
  const text = errorText(error);
  const message = `the guest agent was not asked for ${command}, or did not answer: ${text}`;
  if (!(error instanceof VirshError)) return new AgentError({ agentCode: 'EUNAVAILABLE', message, cause: error });
  if (BY_THE_AGENT.test(text)) {
    // A lost handle, too, "has not been found".
    const unknownCommand = /The command \S+ has not been found/.test(text);
    const refusal = { class: unknownCommand ? 'CommandNotFound' : 'GenericError', message: text, cause: error };
    return new AgentError({ agentCode: 'EREFUSED', ...refusal });
  }
  return new AgentError({ agentCode: CODES[error.virshCode], message, cause: error });
}
