/**
 * What a connection to xenstored must do: carry whole messages there and bytes back. It knows nothing of what they say. What
 * differs between connections is declared here, so that nobody needs to ask which kind it is.
 */
import type { XenstoreError } from './errors.js';

export interface TransportListener {
  /** Bytes came, in whatever pieces. Their memory is used again when the call is over. */
  readonly onBytes: (chunk: Uint8Array) => void;
  /** The connection has ended, and not because `close` was called. Called at most once. */
  readonly onLost: (why: XenstoreError) => void;
}

export interface Transport {
  /** For messages: the path of the socket or device. */
  readonly description: string;
  /** The largest payload that it carries. 4096 by the protocol; the kernel's device takes 16 bytes less. */
  readonly payloadBytesMax: number;
  /**
   * Whether the answers to WATCH and UNWATCH repeat the request's id. Where they do not, they come in the order of the requests,
   * and with id 0.
   */
  readonly answersWatchesById: boolean;
  /** Begins to receive. Called once; until then nothing that comes is lost. */
  start(listener: TransportListener): void;
  /** Sends one message. Messages are sent in order. `refuse` is called when this one was not taken and the connection goes on. */
  send(message: Buffer, refuse: (why: unknown) => void): void;
  /** Ends the connection. xenstored then forgets its watches and transactions. May be called again. */
  close(): Promise<void>;
}
