/**
 * Virshs over which guests' agents are asked: apart from all others, for what an agent says passes through them, and shared so that slow agents
 * hold up no quick ones. It does not know what agents are asked for.
 */
import type { Clock } from '../control/ports.js';
import { millis } from '../units.js';
import { commandLine } from './command.js';
import { agentWords, parseAgentAnswer, type AgentCommand } from './guest-agent.js';
import { Sessions, type OneSession, type Spread, type Turn } from './sessions.js';

/** Several times what an agent on a busy guest takes for a command, 2 to 7 ms, with a virsh that has to begin first. */
export const AGENT_SLOW_AFTER = millis(50);
/** libvirt waits for the agent 3 s. */
const LIMIT = millis(10_000);
/** Each keeps one of libvirtd's threads, which has 20, while it waits. */
const SESSIONS_MAX = 4;
const SPREAD: Spread = {
  // Two are left for the quick ones, also when one of those turns out to be slow.
  slowMax: 2,
  // Eight quick commands are over sooner than another virsh has begun, which takes 31 ms.
  waitingMax: 8,
  idle: millis(60_000),
};

export class AgentSessions {
  readonly #sessions: Sessions;

  /** Nothing is opened before something is asked. */
  constructor(clock: Clock, open: () => OneSession) {
    const onEnd = (): void => undefined;
    this.#sessions = new Sessions({
      ...{ clock, open, onEnd, sessionsMax: SESSIONS_MAX, patience: AGENT_SLOW_AFTER, limit: LIMIT },
      spread: SPREAD,
    });
  }

  /** Process ids of the virshs that there are. */
  get pids(): readonly number[] {
    return this.#sessions.pids;
  }

  /** As `askAgent` of the connection; see there. */
  async ask(uuid: string, command: AgentCommand, signal: AbortSignal, turn?: Turn): Promise<unknown> {
    return parseAgentAnswer(await this.#sessions.run(commandLine(agentWords(uuid, command)), signal, turn));
  }

  close(): void {
    this.#sessions.close();
  }
}
