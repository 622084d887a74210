/** Words to a guest's QEMU agent through libvirt, which holds its socket: `virsh qemu-agent-command`. It does not know what they ask for. */
import { asciiJson, isUuid } from './command.js';
import { brokenProtocol, invalid } from './errors.js';

export interface AgentCommand {
  /** As the agent calls it: `guest-file-read`. */
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** libvirt waits for the guest's answer so long; an agent on a busy guest takes 2 to 7 ms. */
const ANSWER_LIMIT_S = 3;

/** Throws `VirshError` (EINVAL) where `uuid` is none. */
export function agentWords(uuid: string, command: AgentCommand): readonly string[] {
  if (!isUuid(uuid)) throw invalid('a domain is called by what is no UUID');
  return ['qemu-agent-command', uuid, asciiJson(command), '--timeout', String(ANSWER_LIMIT_S)];
}

/** What the agent returned: the guest's own word. Throws `VirshError` (EPROTO) for what is no answer. */
export function parseAgentAnswer(lines: readonly string[]): unknown {
  const answer = parsed(lines.join(''));
  if (typeof answer !== 'object' || answer === null || !('return' in answer)) {
    throw brokenProtocol("a guest's agent answered with something else than a return");
  }
  return answer.return;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
