/** QEMU's agent in a domain's guest, asked through libvirt, which holds its socket. It does not know what the agent is asked for. */
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
import { VirshError, type Virsh, type VirshCode } from '../../virsh/index.js';

export interface DomainAgentOptions {
  readonly uuid: string;
  readonly clock: Clock;
  /** The connection that there is. Throws where there is none. */
  readonly connected: () => Pick<Virsh, 'askAgent'>;
  /** Told what a person should know of. */
  readonly tell: (message: string) => void;
}

export class DomainAgent implements InsideSource {
  readonly #reader: AgentReader;

  /** Nothing is asked before the first look. */
  constructor({ uuid, clock, connected, tell }: DomainAgentOptions) {
    const channel: AgentChannel = {
      ask: async (command, args, signal) => {
        try {
          return await connected().askAgent(uuid, { execute: command, arguments: args }, signal);
        } catch (error) {
          throw asAgentError(command, error);
        }
      },
    };
    this.#reader = new AgentReader({ channel, clock, tell });
  }

  get signals(): AgentSignals {
    return this.#reader.signals;
  }

  look(): Promise<void> {
    return this.#reader.look();
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

/** How libvirt begins what the agent itself answered with an error (src/qemu/qemu_agent.c, 9.0). */
const BY_THE_AGENT = /unable to execute QEMU agent command/;

/** libvirt passes the agent's words on, and not the class of its error. */
function asAgentError(command: string, error: unknown): AgentError {
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
