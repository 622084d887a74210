/** Those inside of one domain who say how its guest is, as far as its channels lead to them. It does not know what they say. */
import type { Alarm } from '../../control/alarm.js';
import type { Clock } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { quoted } from '../../errors.js';
import {
  CheckedSource,
  Inside,
  OWN_PORT,
  OwnAgent,
  type Claim,
  type InsideChoice,
  type InsideSource,
  type PortClaims,
} from '../../inside/index.js';
import { QEMU_AGENT_PORT, type DomainShape, type Virsh } from '../../virsh/index.js';
import { DomainAgent } from './guest-agent.js';

export interface InsideOptions extends InsideChoice {
  readonly guest: GuestId;
  readonly shape: DomainShape;
  readonly clock: Clock;
  /** Which domains have which sockets. */
  readonly claims: PortClaims;
  /** The connection that there is. Throws where there is none. */
  readonly connected: () => Virsh;
  /** Memory gets tight in the guest, or whoever would say so is silent. */
  readonly onAlarm: (alarm: Alarm) => void;
  /** Told what a person should know of. */
  readonly tell: (message: string) => void;
}

/** Begins to listen to everybody who has a channel in this domain. */
export function openInside(options: InsideOptions): Inside {
  const { guest, shape, clock, claims, connected, asksAgent, hearsOwn, onAlarm } = options;
  const tell = (message: string): void => {
    options.tell(`${guest}: ${message}`);
  };
  const sources: InsideSource[] = [];
  const path = shape.channels.get(OWN_PORT);
  const claim: Claim = { guest, pid: null, paths: path === undefined ? [] : [path] };
  const release = claims.add(claim);
  if (hearsOwn && path !== undefined) {
    const whyNot = (): string | null => whyNotOwn(claims, claim, path);
    sources.push(
      new CheckedSource({
        who: 'its own agent',
        atConnection: whyNot,
        atLook: whyNot,
        open: (ears) => new OwnAgent({ path, clock, onAlarm, ...ears }),
        tell,
      }),
    );
  }
  if (asksAgent && shape.channels.has(QEMU_AGENT_PORT)) {
    sources.push(new DomainAgent({ uuid: shape.uuid, clock, connected, tell }));
  }
  return new Inside(clock, sources, release);
}

/** Whichever domain started last has taken the socket from the other, and libvirt does not say which process that is. */
function whyNotOwn(claims: PortClaims, claim: Claim, path: string): string | null {
  const rival = claims.otherAt(path, claim);
  if (rival === null) return null;
  return `${rival.guest} has a channel at ${quoted(path)} too, and whose the socket is cannot be told; give the channel of each domain a path of its own`;
}
