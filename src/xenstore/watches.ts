/**
 * The watches of one connection: each has a token of its own, by which an event finds its listener. How much may wait for
 * listeners is limited for all of them together. It does not send anything.
 */
import { quoted } from '../errors.js';
import { decodeWatchEvent } from './answers.js';
import { tooMany } from './errors.js';
import { WatchQueue, WatchRoom, type WatchListener } from './watch-queue.js';

export interface WatchesOptions {
  /** How many watches there may be. */
  readonly watchesMax: number;
  /** How many paths may wait to be told to listeners, over all watches. */
  readonly eventsMax: number;
  /** Told what a listener throws. */
  readonly onError: (error: unknown) => void;
}

export class Watches {
  readonly #options: WatchesOptions;
  readonly #queues = new Map<string, WatchQueue>();
  readonly #room: WatchRoom;
  #lastToken = 0;

  constructor(options: WatchesOptions) {
    this.#options = options;
    this.#room = new WatchRoom(options.eventsMax);
  }

  /** A new watch, not begun, with a token that none had before. Throws `XenstoreError` (EBUSY) when there are too many. */
  add(path: string, listener: WatchListener): { readonly token: string; readonly queue: WatchQueue } {
    const { watchesMax, onError } = this.#options;
    if (this.#queues.size >= watchesMax) {
      throw tooMany(`${quoted(path)} is not watched: this program has ${watchesMax} watches already`);
    }
    this.#lastToken += 1;
    const token = `selfballoon-${this.#lastToken}`;
    const queue = new WatchQueue({ path, listener, room: this.#room, onError });
    this.#queues.set(token, queue);
    return { token, queue };
  }

  /** The listener is not called again. */
  remove(token: string): void {
    this.#queues.get(token)?.end();
    this.#queues.delete(token);
  }

  /** No listener is called again. */
  removeAll(): void {
    for (const token of [...this.#queues.keys()]) this.remove(token);
  }

  /**
   * Takes the payload of a watch event. One with a token that no watch has may be on its way still when the watch ends, and
   * nobody misses it. Throws `XenstoreError` (EPROTO) for what is no event.
   */
  take(payload: Buffer): void {
    const { path, token } = decodeWatchEvent(payload);
    this.#queues.get(token)?.put(path);
  }
}
