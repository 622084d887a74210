/**
 * Cuts a stream of bytes into lines, in whatever pieces it comes. It holds one unfinished line at most, and none that is longer than
 * is allowed. It does not know what a line says.
 */

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const FIRST_BYTES = 4096;
/** Room that is kept for the next line; more, as after a long line, is given back. */
const KEPT_BYTES_MAX = 64 * 1024;

export interface LineLimits {
  /** The longest line that is taken, in bytes, without its end. 1 or more. */
  readonly bytesMax: number;
  /** A longer one came. Called once for each, as soon as that is known; the rest of it is skipped. What it throws, `push` throws. */
  readonly onTooLong: () => void;
}

export type TakeLine = (line: Buffer) => void;

export class LineDecoder {
  readonly #limits: LineLimits;
  #held = Buffer.alloc(0);
  #filled = 0;
  /** The line that comes is too long, and its end has not come yet. */
  #isSkipping = false;

  constructor(limits: LineLimits) {
    this.#limits = limits;
  }

  /** Bytes of the unfinished line that are held: 0 to `bytesMax`. */
  get heldBytes(): number {
    return this.#filled;
  }

  /**
   * Takes the next bytes and gives each line that they complete to `take`, without `\n` or `\r\n`, before it looks at what follows.
   * Empty lines are left out. A line's memory is used again when `take` returns.
   */
  push(chunk: Uint8Array, take: TakeLine): void {
    const source = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < source.length) {
      const end = source.indexOf(NEWLINE, at);
      const piece = source.subarray(at, end < 0 ? source.length : end);
      at += piece.length + 1;
      if (end < 0) this.#keep(piece);
      else this.#finish(piece, take);
    }
  }

  /** The same, but of the lines that these bytes complete only the newest is given: however many there are, they cost next to nothing. */
  pushNewest(chunk: Uint8Array, take: TakeLine): void {
    const source = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const last = source.lastIndexOf(NEWLINE);
    if (last >= 0) {
      let end = last;
      while (end > 0 && source[end - 1] === NEWLINE) end -= 1;
      const start = end === 0 ? 0 : source.lastIndexOf(NEWLINE, end - 1) + 1;
      // A line begins there, so that what is held is of one that has ended before.
      if (start > 0) this.#drop(false);
      this.push(source.subarray(start, end + 1), take);
    }
    this.push(source.subarray(last + 1), take);
  }

  #keep(piece: Buffer): void {
    if (this.#isSkipping) return;
    const needed = this.#filled + piece.length;
    if (needed > this.#limits.bytesMax) {
      this.#drop(true);
      this.#limits.onTooLong();
      return;
    }
    if (needed > this.#held.length) {
      const size = Math.min(Math.max(needed, 2 * this.#held.length, FIRST_BYTES), this.#limits.bytesMax);
      const larger = Buffer.alloc(size);
      this.#held.copy(larger, 0, 0, this.#filled);
      this.#held = larger;
    }
    piece.copy(this.#held, this.#filled);
    this.#filled = needed;
  }

  /** A line has ended, and `piece` is its end. */
  #finish(piece: Buffer, take: TakeLine): void {
    const isWhole = this.#filled === 0 && !this.#isSkipping && piece.length <= this.#limits.bytesMax;
    if (isWhole) {
      give(piece, take);
      return;
    }
    this.#keep(piece);
    const line = this.#held.subarray(0, this.#filled);
    this.#filled = 0;
    this.#isSkipping = false;
    if (this.#held.length > KEPT_BYTES_MAX) this.#held = Buffer.alloc(0);
    give(line, take);
  }

  #drop(isSkipping: boolean): void {
    this.#held = Buffer.alloc(0);
    this.#filled = 0;
    this.#isSkipping = isSkipping;
  }
}

function give(line: Buffer, take: TakeLine): void {
  const text = line.at(-1) === RETURN ? line.subarray(0, -1) : line;
  if (text.length > 0) take(text);
}
