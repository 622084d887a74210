/** What a machine has besides its balloon, in a sentence of the doctor's. It does not know how that was found. */
import { pagesToMibDown, type Pages } from '../../units.js';
import { ok, type Finding } from './finding.js';

export interface Besides {
  readonly hasGuestAgentPort: boolean;
  readonly hasOwnAgentPort: boolean;
  /** What virtio-mem can add. */
  readonly pluggable: Pages;
}

/** Of a machine with a balloon. Whether anybody speaks at a port is not looked at: only one program may, and it may be another's. */
export function besidesOf(name: string, { hasGuestAgentPort, hasOwnAgentPort, pluggable }: Besides): Finding {
  const ports = [
    ...(hasGuestAgentPort ? ["a port for QEMU's guest agent"] : []),
    ...(hasOwnAgentPort ? ['a port for selfballoon agent'] : []),
  ];
  const told =
    ports.length === 0
      ? `${name} has no port for an agent: only its balloon's statistics tell what it needs`
      : `${name} has ${ports.join(' and ')}`;
  return ok(pluggable === 0 ? told : `${told}; ${pagesToMibDown(pluggable)} MiB more can be plugged in`);
}
