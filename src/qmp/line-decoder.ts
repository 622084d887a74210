/** Lines of a QEMU's monitor: after one that is too long nothing that comes is believed any more. It does not know what a line says. */
import { LineDecoder as AnyLineDecoder, type TakeLine } from '../connection/line-decoder.js';
import { brokenProtocol, type QmpError } from './errors.js';

/**
 * The longest line that is taken, in bytes, without its end. What is asked here has answers of some KiB at most; the longest that QEMU
 * 7.2 has, to `query-qmp-schema`, is 0.2 MB long.
 */
export const LINE_BYTES_MAX = 2 ** 20;

export class LineDecoder {
  #broken: QmpError | null = null;
  readonly #lines = new AnyLineDecoder({
    bytesMax: LINE_BYTES_MAX,
    onTooLong: () => {
      this.#broken = brokenProtocol(`a line of more than ${LINE_BYTES_MAX} bytes came`);
      throw this.#broken;
    },
  });

  /** Bytes of the unfinished line that are held: 0 to 1 MiB. */
  get heldBytes(): number {
    return this.#lines.heldBytes;
  }

  /**
   * Gives each line that these bytes complete to `take`, as `connection/line-decoder.ts` says. Throws `QmpError` (EPROTO) for a line
   * that is too long, and from then on always.
   */
  push(chunk: Uint8Array, take: TakeLine): void {
    if (this.#broken !== null) throw this.#broken;
    this.#lines.push(chunk, take);
  }
}
