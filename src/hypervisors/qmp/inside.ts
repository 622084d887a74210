/**
 * Those inside of one machine who say how its guest is, best first. It asks them all at once and waits for none of them for long: what
 * a slow one said before is what is known of it, and grows old. It does not know what they say.
 */
import type { Clock } from '../../control/ports.js';
import type { GuestId, Signals } from '../../control/reading.js';
import { GuestAgent } from '../../guest-agent/index.js';
import { addMillis, millis } from '../../units.js';
import type { GuestPorts } from './guest-ports.js';

export interface InsideSource {
  /** What is known now, each signal with the time at which it was true. */
  readonly signals: Partial<Signals>;
  /** Looks, where it is one that must be asked. Resolves when that has ended, well or not. Never rejects. */
  look(): Promise<void>;
  /** Lets go, within `limit` as far as it must be told. Never rejects. */
  close(limit: AbortSignal): Promise<void>;
}

/** A round does not wait longer for anybody in a guest. An agent answers in some milliseconds, even in an emulated guest. */
export const INSIDE_WAIT = millis(500);
/** The port of QEMU's guest agent, by its own convention. */
const AGENT_PORT = 'org.qemu.guest_agent.0';

export interface InsideOptions {
  readonly guest: GuestId;
  readonly ports: GuestPorts;
  readonly clock: Clock;
  /** Whether QEMU's guest agent is asked, where it has a port. */
  readonly asksAgent: boolean;
  /** Told what a person should know of. */
  readonly tell: (message: string) => void;
}

/** Begins to connect to everybody who has a port in this machine. */
export function openInside({ guest, ports, clock, asksAgent, tell }: InsideOptions): Inside {
  const sources: InsideSource[] = [];
  const agent = asksAgent ? ports.get(AGENT_PORT) : undefined;
  if (agent?.kind === 'socket') sources.push(new GuestAgent({ guest, path: agent.path, clock, tell }));
  if (agent?.kind === 'unusable') tell(`guest ${guest}: its guest agent is not asked: ${agent.why}`);
  return new Inside(clock, sources);
}

export class Inside {
  readonly #clock: Clock;
  readonly #sources: readonly InsideSource[];
  #closing: Promise<unknown> | null = null;

  /** `sources`: best first. */
  constructor(clock: Clock, sources: readonly InsideSource[]) {
    this.#clock = clock;
    this.#sources = sources;
  }

  /** Asks all, and gives what is known of each after 500 ms at most, best first. Never rejects. */
  async look(): Promise<readonly Partial<Signals>[]> {
    if (this.#sources.length > 0) await this.#lookAtAll();
    return this.#sources.map(({ signals }) => signals);
  }

  /** Lets go of all of them, within `limit` as far as they must be told. It may be called again. Never rejects. */
  async close(limit: AbortSignal): Promise<void> {
    this.#closing ??= Promise.all(this.#sources.map((source) => source.close(limit)));
    await this.#closing;
  }

  async #lookAtAll(): Promise<void> {
    const waiting = new AbortController();
    const looks = Promise.all(this.#sources.map((source) => source.look()));
    await Promise.race([looks, this.#clock.sleepUntil(addMillis(this.#clock.now(), INSIDE_WAIT), waiting.signal)]);
    waiting.abort();
  }
}
