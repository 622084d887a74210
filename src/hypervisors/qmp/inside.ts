/** Those inside of one machine who say how its guest is, as far as its ports lead to them. It does not know what they say. */
import type { Alarm } from '../../control/alarm.js';
import type { Clock } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { GuestAgent } from '../../guest-agent/index.js';
import { Inside, OWN_PORT, OwnAgent, type InsideChoice, type InsideSource } from '../../inside/index.js';
import type { GuestPorts } from './guest-ports.js';

/** The ports of the agents: that of QEMU's own by its convention. */
export const AGENT_PORTS = { guestAgent: 'org.qemu.guest_agent.0', ownAgent: OWN_PORT } as const;

export interface InsideOptions extends InsideChoice {
  readonly guest: GuestId;
  readonly ports: GuestPorts;
  readonly clock: Clock;
  /** Memory gets tight in the guest, or whoever would say so is silent. */
  readonly onAlarm: (alarm: Alarm) => void;
  /** Told what a person should know of. */
  readonly tell: (message: string) => void;
}

/** Begins to connect to everybody who has a port in this machine. */
export function openInside({ guest, ports, clock, asksAgent, hearsOwn, onAlarm, tell }: InsideOptions): Inside {
  const pathOf = (port: string, agent: string): string | null => {
    const end = ports.get(port);
    if (end?.kind === 'unusable') tell(`guest ${guest}: its ${agent} is not listened to: ${end.why}`);
    return end?.kind === 'socket' ? end.path : null;
  };
  const own = hearsOwn ? pathOf(AGENT_PORTS.ownAgent, 'own agent') : null;
  const agent = asksAgent ? pathOf(AGENT_PORTS.guestAgent, 'guest agent') : null;
  const sources: InsideSource[] = [];
  if (own !== null)
    sources.push(
      new OwnAgent({
        path: own,
        clock,
        onAlarm,
        tell: (text) => {
          tell(`guest ${guest}: ${text}`);
        },
      }),
    );
  if (agent !== null) sources.push(new GuestAgent({ guest, path: agent, clock, tell }));
  return new Inside(clock, sources);
}
