/** Those inside of one machine who say how its guest is, as far as its ports lead to them. It does not know what they say. */
import type { Alarm } from '../../control/alarm.js';
import type { Clock } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { GuestAgent } from '../../guest-agent/index.js';
import {
  CheckedSource,
  Inside,
  OWN_PORT,
  OwnAgent,
  type CheckedOptions,
  type Claim,
  type Ears,
  type InsideChoice,
  type InsideSource,
} from '../../inside/index.js';
import { pathsOf, type GuestPorts } from './guest-ports.js';
import type { PortTrust } from './port-trust.js';

/** The ports of the agents: that of QEMU's own by its convention. */
export const AGENT_PORTS = { guestAgent: 'org.qemu.guest_agent.0', ownAgent: OWN_PORT } as const;

/** Whether QEMU's device of that id is the port of its own agent. */
export function isAgentPort(ports: GuestPorts, id: string): boolean {
  const end = ports.get(AGENT_PORTS.guestAgent);
  return end?.kind === 'socket' && end.device === id;
}

export interface InsideOptions extends InsideChoice {
  readonly guest: GuestId;
  /** The process behind the machine's monitor; null: not known. */
  readonly pid: number | null;
  readonly ports: GuestPorts;
  readonly clock: Clock;
  /** Whose sockets are believed to be whose. */
  readonly trust: PortTrust;
  /** Memory gets tight in the guest, or whoever would say so is silent. */
  readonly onAlarm: (alarm: Alarm) => void;
  /** Told what a person should know of. */
  readonly tell: (message: string) => void;
}

/** Begins to connect to everybody who has a port in this machine. */
export function openInside(options: InsideOptions): Inside {
  const { guest, pid, ports, clock, trust, asksAgent, hearsOwn, onAlarm, tell } = options;
  const claim: Claim = { guest, pid, paths: pathsOf(ports) };
  const release = trust.add(claim);
  const openAt = (port: string, agent: string, open: (path: string, ears: Ears) => InsideSource): InsideSource[] => {
    const end = ports.get(port);
    const who = `guest ${guest}: its ${agent}`;
    if (end?.kind === 'unusable') tell(`${who} is not listened to: ${end.why}`);
    if (end?.kind !== 'socket') return [];
    const { path } = end;
    const checked: CheckedOptions = {
      who,
      atConnection: (peer) => trust.whyNot(claim, path, peer),
      atLook: (peer) => trust.whyNotByOthers(claim, path, peer),
      open: (ears) => open(path, ears),
      tell,
    };
    return [new CheckedSource(checked)];
  };
  const openOwn = (path: string, ears: Ears): InsideSource =>
    new OwnAgent({
      path,
      clock,
      onAlarm,
      whyNot: ears.whyNot,
      tell: (text) => {
        ears.tell(`guest ${guest}: ${text}`);
      },
    });
  const own = hearsOwn ? openAt(AGENT_PORTS.ownAgent, 'own agent', openOwn) : [];
  const openAgent = (path: string, ears: Ears): InsideSource => new GuestAgent({ guest, path, clock, ...ears });
  const agent = asksAgent ? openAt(AGENT_PORTS.guestAgent, 'guest agent', openAgent) : [];
  return new Inside(clock, [...own, ...agent], release);
}
