/**
 * Somebody inside who is listened to only while whoever serves his port's socket is believed. What a refused one has said is forgotten
 * as a whole, and it is told of once. It does not know whom to believe.
 */
import type { PeerCheck } from '../agent-port/index.js';
import type { Signals } from '../control/reading.js';
import type { InsideSource } from './inside.js';

export interface CheckedOptions {
  /** Who it is, for messages: `guest web: its guest agent`. */
  readonly who: string;
  /** Asked at each connection. */
  readonly atConnection: PeerCheck;
  /** Asked at each look, of whoever was believed: others may have come meanwhile. It should cost next to nothing. */
  readonly atLook: PeerCheck;
  /** Begins to listen. */
  readonly open: (ears: Ears) => InsideSource;
  readonly tell: (message: string) => void;
}

/** What a source is given: whom to believe, and where to tell of its connection. */
export interface Ears {
  readonly whyNot: PeerCheck;
  readonly tell: (message: string) => void;
}

/** Those who were given up have nothing to tell anybody. */
const AT_ONCE = AbortSignal.abort();

export class CheckedSource implements InsideSource {
  readonly #options: CheckedOptions;
  readonly #closing = new Set<Promise<void>>();
  #source: InsideSource;
  /** What the source that listens now was given. */
  #ears: Ears | null = null;
  /** Who was believed last; undefined: nobody yet. */
  #peer: number | null | undefined;
  /** Who was refused at the newest connection; undefined: nobody. */
  #refused: number | null | undefined;

  /** Begins to listen. */
  constructor(options: CheckedOptions) {
    this.#options = options;
    this.#source = this.#open();
  }

  get signals(): Partial<Signals> {
    return this.#source.signals;
  }

  get refusal(): string | null {
    return this.#source.refusal ?? null;
  }

  look(): Promise<void> {
    if (this.#peer !== undefined && this.#options.atLook(this.#peer) !== null) this.#beginAnew();
    return this.#source.look();
  }

  forget(): void {
    this.#source.forget?.();
  }

  async close(limit: AbortSignal): Promise<void> {
    await Promise.all([this.#source.close(limit), ...this.#closing]);
  }

  #beginAnew(): void {
    const closing = this.#source.close(AT_ONCE).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    this.#peer = undefined;
    this.#source = this.#open();
  }

  #open(): InsideSource {
    const ears: Ears = {
      whyNot: (peer) => {
        const why = this.#options.atConnection(peer);
        if (this.#ears === ears) this.#note(peer, why);
        return why;
      },
      // What was told of the refusal says why there is no connection.
      tell: (message) => {
        if (this.#ears === ears && this.#refused === undefined) this.#options.tell(message);
      },
    };
    this.#ears = ears;
    return this.#options.open(ears);
  }

  #note(peer: number | null, why: string | null): void {
    const { who, tell } = this.#options;
    // More may become known of the same process: that it is the wrong one has been told.
    if (why !== null && peer !== this.#refused) tell(`${who} is not listened to: ${why}`);
    this.#refused = why === null ? undefined : peer;
    this.#peer = why === null ? peer : undefined;
  }
}
