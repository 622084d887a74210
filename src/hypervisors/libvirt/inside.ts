/** Those inside of one domain who say how its guest is, as far as its channels lead to them. It does not know what they say. */
import type { Alarm } from '../../control/alarm.js';
import type { Clock } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { Inside, OWN_PORT, OwnAgent, type InsideChoice, type InsideSource } from '../../inside/index.js';
import { QEMU_AGENT_PORT, type DomainShape, type Virsh } from '../../virsh/index.js';
import { DomainAgent } from './guest-agent.js';

export interface InsideOptions extends InsideChoice {
  readonly guest: GuestId;
  readonly shape: DomainShape;
  readonly clock: Clock;
  /** The connection that there is. Throws where there is none. */
  readonly connected: () => Virsh;
  /** Memory gets tight in the guest, or whoever would say so is silent. */
  readonly onAlarm: (alarm: Alarm) => void;
  /** Told what a person should know of. */
  readonly tell: (message: string) => void;
}

/** Begins to listen to everybody who has a channel in this domain. */
export function openInside(options: InsideOptions): Inside {
  const { guest, shape, clock, connected, asksAgent, hearsOwn, onAlarm } = options;
  const tell = (message: string): void => {
    options.tell(`${guest}: ${message}`);
  };
  const sources: InsideSource[] = [];
  const path = shape.channels.get(OWN_PORT);
  if (hearsOwn && path !== undefined) sources.push(new OwnAgent({ path, clock, onAlarm, tell }));
  if (asksAgent && shape.channels.has(QEMU_AGENT_PORT)) {
    sources.push(new DomainAgent({ uuid: shape.uuid, clock, connected, tell }));
  }
  return new Inside(clock, sources);
}
