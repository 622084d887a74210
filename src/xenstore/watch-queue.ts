/**
 * What waits to be told to the listener of one watch. A path that waits already need not wait twice: the listener will look at it
 * after both changes. It does not know what a change was; nor does xenstored say.
 */

export type WatchEvent =
  /** Something has changed at `path`, or may have: xenstored also tells of nothing now and then, and once when a watch begins. */
  | { readonly kind: 'changed'; readonly path: string }
  /** More has changed than could be kept. Anything at or below `path`, the watch's own, may have. */
  | { readonly kind: 'overrun'; readonly path: string };

export type WatchListener = (event: WatchEvent) => void | Promise<void>;

/** How many paths may wait in all queues together. */
export class WatchRoom {
  readonly #max: number;
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Takes room for one path; false when there is none. */
  take(): boolean {
    if (this.#used >= this.#max) return false;
    this.#used += 1;
    return true;
  }

  giveBack(count: number): void {
    this.#used -= count;
  }
}

export interface WatchQueueOptions {
  /** The path that is watched. */
  readonly path: string;
  readonly listener: WatchListener;
  /** Shared by all queues of a connection. */
  readonly room: WatchRoom;
  /** Told what the listener throws. */
  readonly onError: (error: unknown) => void;
}

export class WatchQueue {
  readonly #options: WatchQueueOptions;
  readonly #paths = new Set<string>();
  #isOverrun = false;
  #isLive = false;
  #isBusy = false;

  constructor(options: WatchQueueOptions) {
    this.#options = options;
  }

  /** Keeps `path` for the listener while there is room; else all that is kept becomes one overrun. */
  put(path: string): void {
    if (this.#isOverrun || this.#paths.has(path)) return;
    if (this.#options.room.take()) {
      this.#paths.add(path);
    } else {
      this.#forget();
      this.#isOverrun = true;
    }
    this.#wake();
  }

  /** The watch is set up: the listener may be called. */
  begin(): void {
    this.#isLive = true;
    this.#wake();
  }

  /** The listener is not called again. */
  end(): void {
    this.#isLive = false;
    this.#isOverrun = false;
    this.#forget();
  }

  #forget(): void {
    this.#options.room.giveBack(this.#paths.size);
    this.#paths.clear();
  }

  #wake(): void {
    if (this.#isBusy || !this.#isLive) return;
    this.#isBusy = true;
    void this.#tellAll();
  }

  /** One at a time: the next is told when the listener has done with the last. */
  async #tellAll(): Promise<void> {
    // Not from within the caller's own call: what it does after it must not be overtaken.
    await Promise.resolve();
    try {
      for (let event = this.#next(); event !== null; event = this.#next()) await this.#tell(event);
    } finally {
      this.#isBusy = false;
    }
  }

  async #tell(event: WatchEvent): Promise<void> {
    try {
      await this.#options.listener(event);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #next(): WatchEvent | null {
    if (this.#isOverrun) {
      this.#isOverrun = false;
      return { kind: 'overrun', path: this.#options.path };
    }
    const [path] = this.#paths;
    if (path === undefined) return null;
    this.#paths.delete(path);
    this.#options.room.giveBack(1);
    return { kind: 'changed', path };
  }
}
