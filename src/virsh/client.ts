/**
 * Speaks with libvirt through a small number of virshs: one that looks, one that listens to events, and one, or a few while some
 * domains do not answer, that ask for something. It does not know what is asked for and why, nor when to connect again.
 */
import { unlessAborted } from '../waiting/abort.js';
import type { Clock } from '../control/ports.js';
import { millis } from '../units.js';
import { commandLine } from './command.js';
import { givenUp, notConnected, VirshError } from './errors.js';
import { parseEvent, type DomainEvent } from './events.js';
import { AgentSessions } from './agent-sessions.js';
import type { AgentCommand } from './guest-agent.js';
import { Session, type SessionOptions } from './session.js';
import { Sessions, type Turn } from './sessions.js';

/** Why the connection ended: by our own hand, or not. */
export type VirshEnd = { readonly kind: 'closed' } | { readonly kind: 'lost'; readonly error: VirshError };

export interface VirshOptions {
  /** As virsh has it after `-c`: `qemu:///system`. */
  readonly uri: string;
  readonly clock: Clock;
  /** Default `virsh`, wherever it is on the path. */
  readonly program?: string;
  /** Told of each event that is understood. Must not throw. */
  readonly onEvent: (event: DomainEvent) => void;
  /** Events may have been missed until now: called when listening begins, and every half minute. Must not throw. */
  readonly onGap: () => void;
}

export interface Virsh {
  /** Resolves when the connection has ended. Never rejects. */
  readonly closed: Promise<VirshEnd>;
  /** Process ids of the virshs that there are. */
  readonly pids: readonly number[];
  /**
   * Runs a command that changes nothing, over the read-only connection, and returns the lines that it prints. It is ended after 3 s.
   * Rejects with `VirshError`.
   */
  look(words: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
  /**
   * As `look`, over sessions of its own and ended after 1 s: for finding out who does not answer, up to ten at the same time.
   */
  probe(words: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
  /**
   * Runs a command that changes something. It is not begun when `signal` is aborted before. Once it is begun it settles when it can have
   * no more effect, or after 45 s with `mayHaveHappened`: then libvirt lets whatever is asked of that domain later wait behind it.
   * Rejects with `VirshError`.
   */
  act(words: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
  /**
   * As `act`, over sessions of its own: for domains that did not answer when they were last looked at, so that those that do need not
   * wait behind them.
   */
  actApart(words: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
  /**
   * As `act`, over sessions of its own: for what can wait, so that a domain which does not answer it holds up nobody who needs memory.
   */
  actAside(words: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
  /**
   * Asks the QEMU agent in a guest, and returns what it returned: the guest's own word, not to be believed. What the guest does then
   * can hurt nothing but this call. Not begun when `signal` is aborted before; ended after 10 s. Those of which `turn` says that they are
   * slow, which is longer than 50 ms, wait for each other and hold up no quick ones. Rejects with `VirshError`.
   */
  askAgent(uuid: string, command: AgentCommand, signal: AbortSignal, turn?: Turn): Promise<unknown>;
  /** Ends it. It may be called again. */
  close(): Promise<void>;
}

/** Seen: 3 ms with one domain, the emulated guest beside it on two cores; a thousand domains take a second or two. */
const LOOK_LIMIT = millis(3_000);
/** Another virsh has begun and answered in half of that. */
const PROBE_PATIENCE = millis(50);
const PROBE_LIMIT = millis(1_000);
const PROBE_SESSIONS_MAX = 10;
/** Many times what a command takes of a domain that answers. Five that hang are not half of the time that there is for a request. */
const ACT_PATIENCE = millis(250);
/**
 * libvirt refuses what could not have the domain to itself within 30 s (`QEMU_JOB_WAIT_TIME`), so after this only one command of a
 * domain can still be on its way, the one that has it; and whatever is asked next waits for that one.
 */
const ACT_LIMIT = millis(45_000);
const ACT_SESSIONS_MAX = 8;
/** Each that waits keeps one of libvirtd's threads, which has 20. */
const APART_SESSIONS_MAX = 4;
const ASIDE_SESSIONS_MAX = 2;
/** An ended daemon's listener notices that after this: only between two commands does virsh see that nobody writes any more. */
const LISTEN_S = 30;
const LISTEN_LIMIT = millis(60_000);

/** Connects. Rejects with `VirshError`: EUNAVAILABLE where none answers, EACCES where this user may only look, or not even that. */
export async function openVirsh(options: VirshOptions, signal: AbortSignal): Promise<Virsh> {
  const virsh = new Client(options);
  try {
    // Each connects at its first command.
    const both = Promise.all([virsh.look(['uri'], signal), virsh.act(['uri'], signal)]);
    await unlessAborted(both, signal, () => notConnected(options.uri));
  } catch (error) {
    await virsh.close();
    throw error;
  }
  virsh.listen();
  return virsh;
}

class Client implements Virsh {
  readonly #options: VirshOptions;
  readonly #looks: Sessions;
  readonly #probes: Sessions;
  readonly #acts: Sessions;
  readonly #apart: Sessions;
  readonly #aside: Sessions;
  readonly #agents: AgentSessions;
  #listener: Session | null = null;
  #isEnded = false;
  #tellEnd: (end: VirshEnd) => void = () => undefined;
  readonly closed = new Promise<VirshEnd>((resolve) => (this.#tellEnd = resolve));

  constructor(options: VirshOptions) {
    this.#options = options;
    const { clock } = options;
    const onEnd = (error: VirshError): void => {
      this.#finish({ kind: 'lost', error });
    };
    this.#looks = new Sessions({
      ...{ clock, onEnd, sessionsMax: 1, patience: LOOK_LIMIT, limit: LOOK_LIMIT },
      open: () => this.#open(true),
    });
    this.#probes = new Sessions({
      ...{ clock, onEnd, sessionsMax: PROBE_SESSIONS_MAX, patience: PROBE_PATIENCE, limit: PROBE_LIMIT },
      open: () => this.#open(true),
    });
    this.#acts = new Sessions({
      ...{ clock, onEnd, sessionsMax: ACT_SESSIONS_MAX, patience: ACT_PATIENCE, limit: ACT_LIMIT },
      open: () => this.#open(false),
    });
    this.#apart = new Sessions({
      ...{ clock, onEnd, sessionsMax: APART_SESSIONS_MAX, patience: ACT_PATIENCE, limit: ACT_LIMIT },
      open: () => this.#open(false),
    });
    this.#aside = new Sessions({
      ...{ clock, onEnd, sessionsMax: ASIDE_SESSIONS_MAX, patience: ACT_PATIENCE, limit: ACT_LIMIT },
      open: () => this.#open(false),
    });
    this.#agents = new AgentSessions(clock, () => this.#open(false));
  }

  get pids(): readonly number[] {
    const listener = this.#isEnded ? undefined : this.#listener?.pid;
    const groups = [this.#looks, this.#probes, this.#acts, this.#apart, this.#aside, this.#agents];
    return [...groups.flatMap(({ pids }) => pids), ...(listener === undefined ? [] : [listener])];
  }

  look(words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    return this.#run(this.#looks, words, signal);
  }

  probe(words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    return this.#run(this.#probes, words, signal);
  }

  act(words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    return this.#run(this.#acts, words, signal);
  }

  actApart(words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    return this.#run(this.#apart, words, signal);
  }

  actAside(words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    return this.#run(this.#aside, words, signal);
  }

  askAgent(uuid: string, command: AgentCommand, signal: AbortSignal, turn?: Turn): Promise<unknown> {
    return this.#agents.ask(uuid, command, signal, turn);
  }

  async #run(sessions: Sessions, words: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    try {
      return await sessions.run(commandLine(words), signal);
    } catch (error) {
      // virsh would connect again by itself, and what happened meanwhile would not be known.
      if (error instanceof VirshError && error.virshCode === 'EUNAVAILABLE') this.#finish({ kind: 'lost', error });
      throw error;
    }
  }

  #open(isReadOnly: boolean): Session {
    const { uri, clock, program } = this.#options;
    const options: SessionOptions = { uri, clock, isReadOnly, ...(program === undefined ? {} : { program }) };
    return new Session(options);
  }

  /** Listens until the connection ends. */
  listen(): void {
    if (this.#isEnded) return;
    const listener = this.#open(true);
    this.#listener = listener;
    void this.#listen(listener);
  }

  async #listen(listener: Session): Promise<void> {
    const { onEvent, onGap } = this.#options;
    const line = commandLine(['event', '--all', '--loop', '--timestamp', '--timeout', String(LISTEN_S)]);
    const onLine = (text: string): void => {
      const event = parseEvent(text);
      if (event !== null) onEvent(event);
    };
    try {
      while (!this.#isEnded) {
        onGap();
        await listener.run(line, { limit: LISTEN_LIMIT, onLine });
      }
    } catch (error) {
      this.#finish({ kind: 'lost', error: error instanceof VirshError ? error : givenUp(line) });
    }
  }

  close(): Promise<void> {
    this.#finish({ kind: 'closed' });
    return Promise.resolve();
  }

  #finish(end: VirshEnd): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#tellEnd(end);
    this.#looks.close();
    this.#probes.close();
    this.#acts.close();
    this.#apart.close();
    this.#aside.close();
    this.#agents.close();
    this.#listener?.close();
  }
}
