/** Our own agent in a guest as one who says how it is: it tells by itself, and is never asked. */
import { openAgentPort, type AgentPort, type AgentPortOptions } from '../agent-port/index.js';
import type { Signals } from '../control/reading.js';
import type { InsideSource } from './inside.js';

export class OwnAgent implements InsideSource {
  readonly #port: AgentPort;

  /** Begins to connect. */
  constructor(options: AgentPortOptions) {
    this.#port = openAgentPort(options);
  }

  get signals(): Partial<Signals> {
    return this.#port.signals();
  }

  get refusal(): string | null {
    return this.#port.refusal;
  }

  look(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#port.close();
  }
}
