export { openAgentPort, type AgentPort, type AgentPortOptions } from './agent-port.js';
export type { PeerCheck } from '../connection/unix-socket.js';
export { connectAgentLink, type AgentLink } from './link.js';
