export { AGENT_SLOW_AFTER } from './agent-sessions.js';
export { openVirsh, type Virsh, type VirshEnd, type VirshOptions } from './client.js';
export { asciiJson, commandLine, isUuid } from './command.js';
export { LIST_DOMAINS, parseDomainList, type ListedDomain } from './domain-list.js';
export { domainMemoryWords, parseActual } from './domain-memory.js';
export { DOMAIN_STATS, domainStatsOf, parseDomainStats, STATE_PAUSED, type DomainStats } from './domain-stats.js';
export {
  parseDomainXml,
  QEMU_AGENT_PORT,
  VIRTIO_MEM,
  virtioMem,
  type DomainBalloon,
  type DomainShape,
  type MemoryDevice,
} from './domain-xml.js';
export { VirshError, type VirshCode } from './errors.js';
export { parseEvent, type DomainEvent } from './events.js';
export type { AgentCommand } from './guest-agent.js';
