/** What a connection to QEMU must do: carry lines there and bytes back. It knows nothing of what they say. */
import type { QmpError } from './errors.js';

export interface TransportListener {
  /** Bytes came, in whatever pieces. Their memory is used again when the call is over. */
  readonly onBytes: (chunk: Uint8Array) => void;
  /** The connection has ended, and not because `close` was called. Called at most once. */
  readonly onLost: (why: QmpError) => void;
}

export interface Transport {
  /** For messages: the path of the socket. */
  readonly description: string;
  /** The process that listens there; null: not known. */
  peerPid(): number | null;
  /** Begins to receive. Called once; until then nothing that comes is lost. */
  start(listener: TransportListener): void;
  /** Receives nothing more until `resume`; what comes meanwhile waits with QEMU. */
  pause(): void;
  resume(): void;
  /** Sends one line, after those before it. False: it was not taken, because the other side reads too slowly. */
  send(line: Buffer): boolean;
  /** Ends the connection. It may be called again. */
  close(): Promise<void>;
}
