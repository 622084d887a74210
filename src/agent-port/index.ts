export { openAgentPort, type AgentPort, type AgentPortOptions } from './agent-port.js';
export { connectAgentLink, type AgentLink } from './link.js';
