export { CheckedSource, type CheckedOptions, type Ears } from './checked-source.js';
export { Inside, INSIDE_WAIT, NOTHING_SAID, type InsideChoice, type InsideSource, type Said } from './inside.js';
export { OWN_PORT } from '../signals/report-ways.js';
export { OwnAgent } from './own-agent.js';
export { PortClaims, type Claim } from './port-claims.js';
