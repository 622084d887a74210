/** What a machine has besides its balloon, in a sentence of the doctor's. It does not know how that was found. */
import { pagesToMibDown, type Pages } from '../../units.js';
import { ok, type Finding } from './finding.js';

/** An agent's port: there is none, it is listened to, or the configuration has that off. */
export type PortUse = 'none' | 'used' | 'off';

export const portUse = (isThere: boolean, isWanted: boolean): PortUse => {
  if (!isThere) return 'none';
  return isWanted ? 'used' : 'off';
};

export interface Besides {
  readonly guestAgent: PortUse;
  readonly ownAgent: PortUse;
  /** What virtio-mem can add. */
  readonly pluggable: Pages;
}

const STATISTICS_ALONE = "only its balloon's statistics tell what it needs";

/** Of a machine with a balloon. Whether anybody speaks at a port is not looked at: only one program may, and it may be another's. */
export function besidesOf(name: string, { guestAgent, ownAgent, pluggable }: Besides): Finding {
  const told = `${name} has ${portsOf({ guestAgent, ownAgent })}`;
  return ok(pluggable === 0 ? told : `${told}; ${pagesToMibDown(pluggable)} MiB more can be plugged in`);
}

function portsOf({ guestAgent, ownAgent }: Omit<Besides, 'pluggable'>): string {
  const ports = [
    ...portOf("a port for QEMU's guest agent", guestAgent, 'guest_agent'),
    ...portOf('a port for selfballoon agent', ownAgent, 'own_agent'),
  ];
  if (ports.length === 0) return `no port for an agent: ${STATISTICS_ALONE}`;
  const isHeard = guestAgent === 'used' || ownAgent === 'used';
  return isHeard ? ports.join(' and ') : `${ports.join(' and ')}: ${STATISTICS_ALONE}`;
}

function portOf(port: string, use: PortUse, key: string): readonly string[] {
  if (use === 'none') return [];
  return [use === 'used' ? port : `${port} (not used: ${key} is off)`];
}
