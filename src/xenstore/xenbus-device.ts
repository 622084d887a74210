/**
 * The connection to xenstored through the kernel's device, as programs in any Xen domain have it. It carries bytes and does not
 * know what they say.
 *
 * The kernel takes one whole message with each write and stays in the write of a WATCH until xenstored has answered: writes are
 * made one after another, off the event loop. It answers WATCH and UNWATCH itself, without an id, and refuses them by an error
 * of the write.
 */
import { close, constants, fstat, open, readSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { untilAborted } from '../waiting/abort.js';
import type { Clock } from '../control/ports.js';
import { errorText, systemErrorCode } from '../errors.js';
import { openPoller, type Poller } from '../posix/poll.js';
import { millis } from '../units.js';
import { HEADER_BYTES, PAYLOAD_BYTES_MAX } from './codec.js';
import { XenstoreError } from './errors.js';
import type { Transport, TransportListener } from './transport.js';

/** Where the kernel has it. Only kernels older than those that Node.js runs on had it in `/proc/xen` alone. */
export const XENBUS_DEVICE = '/dev/xen/xenbus';

/** A read takes as many of the waiting messages as fit. */
const READ_BYTES = 64 * 1024;
/** A write that does not come back, because xenstored does not answer, must not keep the program from ending. */
const CLOSE_WAIT = millis(2_000);

const openFile = promisify(open);
const closeFile = promisify(close);
const statFile = promisify(fstat);

/**
 * Opens the kernel's xenbus device. Rejects with `XenstoreError`: EUNAVAILABLE where there is none, EACCES where this user may
 * not open it.
 */
export async function openXenbusDevice(path: string, clock: Clock): Promise<Transport> {
  const descriptor = await openFile(path, constants.O_RDWR | constants.O_NONBLOCK).catch((error: unknown) => {
    throw notOpened(path, error);
  });
  try {
    if (!(await statFile(descriptor)).isCharacterDevice()) throw new Error('it is not a device');
    return await xenbusOver({ description: path, descriptor, clock });
  } catch (error) {
    await closeFile(descriptor);
    throw notOpened(path, error);
  }
}

/** The same over a descriptor that is open, and does not block when it is read. It belongs to the transport from now on. */
export async function xenbusOver(device: OpenDevice): Promise<Transport> {
  return new XenbusDevice(device, await openPoller(device.descriptor, 'readable'));
}

interface OpenDevice {
  readonly description: string;
  readonly descriptor: number;
  readonly clock: Clock;
}

class XenbusDevice implements Transport {
  /** The kernel keeps header and payload together in 4096 bytes. */
  readonly payloadBytesMax = PAYLOAD_BYTES_MAX - HEADER_BYTES;
  readonly answersWatchesById = false;
  readonly description: string;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  readonly #descriptor: number;
  readonly #clock: Clock;
  readonly #poller: Poller;
  /** Ends when all writes have come back. Never rejects. */
  #writes: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor({ description, descriptor, clock }: OpenDevice, poller: Poller) {
    this.description = description;
    this.#descriptor = descriptor;
    this.#clock = clock;
    this.#poller = poller;
  }

  start(listener: TransportListener): void {
    this.#receive(listener.onBytes).catch((error: unknown) => {
      if (this.#closing === null) listener.onLost(lost(this.description, error));
    });
  }

  /** Goes on until it is closed; throws when the device ends. */
  async #receive(onBytes: (chunk: Uint8Array) => void): Promise<void> {
    while (this.#closing === null) {
      const outcome = await this.#poller.wait();
      if (outcome === 'failed') throw new Error('the device has ended');
      if (outcome === 'ready') this.#read(onBytes);
    }
  }

  #read(onBytes: (chunk: Uint8Array) => void): void {
    if (this.#closing !== null) return;
    const count = this.#readOnce();
    if (count === 0) throw new Error('the device has ended');
    if (count !== null) onBytes(this.#buffer.subarray(0, count));
  }

  /** Null: nothing is there after all. */
  #readOnce(): number | null {
    try {
      return readSync(this.#descriptor, this.#buffer, 0, READ_BYTES, null);
    } catch (error) {
      const code = systemErrorCode(error);
      if (code === 'EAGAIN' || code === 'EINTR') return null;
      throw error;
    }
  }

  send(message: Buffer, refuse: (why: unknown) => void): void {
    this.#writes = this.#writes.then(async () => {
      if (this.#closing !== null) return;
      const error = await this.#write(message);
      if (error !== null) refuse(error);
    });
  }

  #write(message: Buffer): Promise<unknown> {
    return new Promise((resolve) => {
      write(this.#descriptor, message, 0, message.length, null, (error, written) => {
        if (error !== null) resolve(error);
        else resolve(written === message.length ? null : new Error(`${written} of ${message.length} bytes were taken`));
      });
    });
  }

  /** The descriptor is closed when no write uses it any more, which may be after this resolves. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#poller.close();
    const closed = this.#writes.then(() => closeFile(this.#descriptor)).catch(() => undefined);
    await Promise.race([closed, untilAborted(this.#clock.timeLimit(CLOSE_WAIT))]);
  }
}

function notOpened(path: string, cause: unknown): XenstoreError {
  const code = systemErrorCode(cause);
  const isForbidden = code === 'EACCES' || code === 'EPERM';
  return new XenstoreError({
    xenstoreCode: isForbidden ? 'EACCES' : 'EUNAVAILABLE',
    message: `opening ${path} failed: ${errorText(cause)}`,
    advice: isForbidden
      ? 'Run it as root, or give this user access to the device'
      : 'It is there in Xen domains only, with the kernel module xen-xenbus-frontend',
    cause,
  });
}

const lost = (path: string, cause: unknown): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'EUNAVAILABLE',
    message: `the connection to xenstored through ${path} is lost: ${errorText(cause)}`,
    advice: 'See the kernel log (dmesg)',
    cause,
  });
