/**
 * Cuts a stream of bytes into lines, in whatever pieces it comes. It holds one unfinished line at most, 1 MiB, whatever is sent to it.
 * It does not know what a line says. After a line that is too long it gives no more.
 */
import { brokenProtocol, type QmpError } from './errors.js';

/**
 * The longest line that is taken, in bytes, without its end. What is asked here has answers of some KiB at most; the longest that QEMU
 * 7.2 has, to `query-qmp-schema`, is 0.2 MB long.
 */
export const LINE_BYTES_MAX = 2 ** 20;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const FIRST_BYTES = 4096;
/** Room that is kept for the next line; more, as after a long line, is given back. */
const KEPT_BYTES_MAX = 64 * 1024;

export class LineDecoder {
  #held = Buffer.alloc(0);
  #filled = 0;
  #broken: QmpError | null = null;

  /** Bytes of the unfinished line that are held: 0 to 1 MiB. */
  get heldBytes(): number {
    return this.#filled;
  }

  /**
   * Takes the next bytes and gives each line that they complete to `take`, without `\n` or `\r\n`, before it looks at what follows.
   * Empty lines are left out. A line's memory is used again when `take` returns. Throws `QmpError` (EPROTO) for a line that is too
   * long, and from then on always.
   */
  push(chunk: Uint8Array, take: (line: Buffer) => void): void {
    if (this.#broken !== null) throw this.#broken;
    const source = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < source.length) {
      const end = source.indexOf(NEWLINE, at);
      const piece = source.subarray(at, end < 0 ? source.length : end);
      if (this.#filled + piece.length > LINE_BYTES_MAX) throw this.#break();
      at += piece.length + 1;
      if (end < 0) this.#keep(piece);
      else give(this.#finish(piece), take);
    }
  }

  #keep(piece: Buffer): void {
    const needed = this.#filled + piece.length;
    if (needed > this.#held.length) {
      const size = Math.min(Math.max(needed, 2 * this.#held.length, FIRST_BYTES), LINE_BYTES_MAX);
      const larger = Buffer.alloc(size);
      this.#held.copy(larger, 0, 0, this.#filled);
      this.#held = larger;
    }
    piece.copy(this.#held, this.#filled);
    this.#filled = needed;
  }

  /** The whole line, of which `piece` is the end. */
  #finish(piece: Buffer): Buffer {
    if (this.#filled === 0) return piece;
    this.#keep(piece);
    const line = this.#held.subarray(0, this.#filled);
    this.#filled = 0;
    if (this.#held.length > KEPT_BYTES_MAX) this.#held = Buffer.alloc(0);
    return line;
  }

  #break(): QmpError {
    this.#broken = brokenProtocol(`a line of more than ${LINE_BYTES_MAX} bytes came`);
    this.#held = Buffer.alloc(0);
    this.#filled = 0;
    return this.#broken;
  }
}

function give(line: Buffer, take: (line: Buffer) => void): void {
  const text = line.at(-1) === RETURN ? line.subarray(0, -1) : line;
  if (text.length > 0) take(text);
}
