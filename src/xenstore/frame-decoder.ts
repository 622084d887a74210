/**
 * Cuts a stream of bytes into messages, in whatever pieces it comes. It holds one unfinished message at most, 4112 bytes, whatever
 * is sent to it. After the first thing that is not a message it gives no more: where one ends and the next begins is lost.
 */
import { decodeHeader, HEADER_BYTES, type Frame, type Header } from './codec.js';
import { errorText } from '../errors.js';
import { brokenProtocol, XenstoreError } from './errors.js';

export class FrameDecoder {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  /** How much of the header, or of the payload once the header is known, is here. */
  #filled = 0;
  #begun: { readonly header: Header; readonly payload: Buffer } | null = null;
  #broken: XenstoreError | null = null;

  /** Bytes of the unfinished message that are held: 0 to 4112. */
  get heldBytes(): number {
    return this.#begun === null ? this.#filled : HEADER_BYTES + this.#filled;
  }

  /**
   * Takes the next bytes and gives each message that they complete to `take`, before it looks at what follows. Throws
   * `XenstoreError` (EPROTO) for what is no message, and from then on always.
   */
  push(chunk: Uint8Array, take: (frame: Frame) => void): void {
    if (this.#broken !== null) throw this.#broken;
    const source = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    // An empty payload is complete without any more bytes, so a message may end where the chunk does.
    while (at < source.length) {
      at += this.#fill(source, at);
      const frame = this.#finished();
      if (frame !== null) take(frame);
    }
  }

  /** Returns how many bytes were taken: at least one. */
  #fill(source: Buffer, at: number): number {
    const into = this.#begun?.payload ?? this.#header;
    const taken = source.copy(into, this.#filled, at);
    this.#filled += taken;
    return taken;
  }

  #finished(): Frame | null {
    if (this.#begun === null) {
      if (this.#filled < HEADER_BYTES) return null;
      const header = this.#decodeHeader();
      // Its own memory: a frame must not keep the whole chunk alive that it came in.
      this.#begun = { header, payload: Buffer.alloc(header.payloadBytes) };
      this.#filled = 0;
    }
    const { header, payload } = this.#begun;
    if (this.#filled < payload.length) return null;
    this.#begun = null;
    this.#filled = 0;
    const { operation, requestId, transactionId } = header;
    return { operation, requestId, transactionId, payload };
  }

  #decodeHeader(): Header {
    try {
      return decodeHeader(this.#header);
    } catch (error) {
      this.#broken = error instanceof XenstoreError ? error : brokenProtocol(errorText(error));
      throw this.#broken;
    }
  }
}
