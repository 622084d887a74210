/**
 * Writes the balloon's target so that the newest one asked for is the last one written. A write cannot be stopped once it is
 * begun, and two at a time could land in either order; so there is one at a time, and of what is asked for meanwhile only the
 * newest waits. It knows no time limits: a caller who has given up changes nothing about what is written.
 */

/** Writes one text, and resolves to what the file reads right after. */
export type WriteTarget = (text: string) => Promise<string>;

interface Asked {
  readonly text: string;
  readonly resolve: (readBack: string) => void;
  readonly reject: (error: unknown) => void;
}

export class TargetWriter {
  readonly #write: WriteTarget;
  readonly #superseded: (by: string) => Error;
  #waiting: Asked | null = null;
  #work: Promise<void> | null = null;

  /** `superseded` makes the error for a target that was never written because a newer one, `by`, was asked for. */
  constructor(write: WriteTarget, superseded: (by: string) => Error) {
    this.#write = write;
    this.#superseded = superseded;
  }

  /** Asks for `text`: now, or after the write that is under way. Settles as its write does, or rejects as superseded. */
  set(text: string): Promise<string> {
    this.#waiting?.reject(this.#superseded(text));
    const written = new Promise<string>((resolve, reject) => {
      this.#waiting = { text, resolve, reject };
    });
    this.#work ??= this.#writeAll();
    return written;
  }

  /** Whether the newest target asked for may not have been written yet. */
  get isBusy(): boolean {
    return this.#work !== null;
  }

  /** Resolves when everything asked for has been written or has failed. Never rejects. */
  async settled(): Promise<void> {
    await this.#work;
  }

  async #writeAll(): Promise<void> {
    for (let asked = this.#take(); asked !== null; asked = this.#take()) {
      await this.#write(asked.text).then(asked.resolve, asked.reject);
    }
    this.#work = null;
  }

  #take(): Asked | null {
    const asked = this.#waiting;
    this.#waiting = null;
    return asked;
  }
}
