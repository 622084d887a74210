/** The agent of one guest behind a unix socket of this host, from the first connection to the last, lost ones made again. */
import { ConnectionKeeper } from '../connection/keeper.js';
import type { PeerCheck } from '../connection/unix-socket.js';
import type { Clock } from '../control/ports.js';
import type { AgentChannel } from './channel.js';
import { connectAgent } from './connect.js';
import { notConnected } from './errors.js';
import { AgentReader, type AgentSignals } from './reader.js';
import type { AgentSession } from './session.js';

export interface GuestAgentOptions {
  /** The guest's name, for messages. */
  readonly guest: string;
  /** Of the socket. */
  readonly path: string;
  readonly clock: Clock;
  /** Told what a person should know of: that the agent does not answer, or may not be asked; once each. */
  readonly tell: (message: string) => void;
  /** Asked of whoever serves the socket, at each connection. Default: everybody is believed. */
  readonly whyNot?: PeerCheck;
}

export class GuestAgent {
  readonly #keeper: ConnectionKeeper<AgentSession>;
  readonly #reader: AgentReader;
  readonly #ending = new AbortController();
  readonly #kept: Promise<void>;
  /** That a connection ends which is about to be closed is no news. */
  #isClosing = false;

  /** Begins to connect. Nothing is asked but a number before the first look. */
  constructor({ guest, path, clock, tell, whyNot }: GuestAgentOptions) {
    this.#keeper = new ConnectionKeeper({
      to: `the guest agent of ${guest}`,
      clock,
      connect: (signal) => connectAgent(path, clock, signal, whyNot),
      onConnected: () => {
        this.#reader.doubt();
        return Promise.resolve();
      },
      tell: (message) => {
        if (!this.#isClosing) tell(message);
      },
    });
    const channel: AgentChannel = {
      ask: (command, args, signal) => {
        const { state } = this.#keeper;
        if ('why' in state) return Promise.reject(notConnected(path, state.why));
        return state.connection.ask(command, args, signal);
      },
    };
    this.#reader = new AgentReader({
      channel,
      clock,
      tell: (message) => {
        tell(`guest ${guest}: ${message}`);
      },
    });
    this.#kept = this.#keeper.keep(this.#ending.signal);
  }

  /** What is known now, each signal with the time at which it was asked for. */
  get signals(): AgentSignals {
    return this.#reader.signals;
  }

  /** Looks, or joins the look that is under way. Resolves when it has ended, well or not, after 10 s at most. Never rejects. */
  look(): Promise<void> {
    return this.#reader.look();
  }

  /** The guest, or its agent, begins anew: what was open in it is others' now, or will be. */
  forget(): void {
    this.#reader.forget();
  }

  /** Closes the guest's files, as far as the agent answers before `limit` is aborted, and the connection. Never rejects. */
  async close(limit: AbortSignal): Promise<void> {
    this.#isClosing = true;
    await this.#reader.close(limit);
    this.#ending.abort();
    await this.#kept;
  }
}
