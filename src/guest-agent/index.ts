/** The room's public face. */
export type { AgentChannel } from './channel.js';
export { connectAgent } from './connect.js';
export { AgentError, type AgentCode } from './errors.js';
export { GuestAgent, type GuestAgentOptions } from './guest-agent.js';
export {
  AgentReader,
  EXTENT_AGE_MAX,
  EXTENT_AGE_MAX_AFTER_LOSS,
  LOOK_LIMIT,
  type AgentReaderOptions,
  type AgentSignals,
} from './reader.js';
