/** The way to the agent of one guest, whatever it is: a socket, or a program that asks it for us. It knows nothing of what is asked. */
import type { QmpArguments } from '../qmp/index.js';

export interface AgentChannel {
  /**
   * Asks the agent and gives what it returns, for somebody who checks it: it is a guest's word. One command at a time. Rejects with
   * `AgentError`: EREFUSED, EUNAVAILABLE, ETIMEDOUT, EPROTO, EBUSY. An answer that comes after that is nobody's.
   */
  readonly ask: (command: string, args: QmpArguments, signal: AbortSignal) => Promise<unknown>;
}
