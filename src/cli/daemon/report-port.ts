/**
 * The port of virtio-serial into which this guest's reports are written, one a line. A host that is not there or does not read holds
 * nothing up: what cannot be written at once is not written, and the next report is a newer one.
 *
 * Source: Linux' drivers/char/virtio_console.c. One process at a time may have a port open. Without blocking, a write is refused with
 * EAGAIN while nobody is connected on the host and while the port's queue is full; up to 32 KiB are taken whole. A port that is
 * unplugged refuses with ENODEV. Whether the host has come cannot be waited for: poll(2) returns at once while it is away.
 */
import { close, constants, fstat, open, write } from 'node:fs';
import { promisify } from 'node:util';
import { unlessAborted } from '../../waiting/abort.js';
import type { Clock } from '../../control/ports.js';
import { errorText, SelfballoonError, systemErrorCode } from '../../errors.js';
import { OWN_PORT } from '../../signals/report-ways.js';
import { LAST_WORD } from '../../signals/report.js';
import { millis } from '../../units.js';
import type { ReportWay } from './report-way.js';

/** How the kernel is reached. Given by tests only. */
export interface PortCalls {
  /** Opens a device for writing that never waits. */
  readonly open: (path: string) => Promise<number>;
  readonly write: (descriptor: number, bytes: Buffer) => Promise<number>;
  readonly close: (descriptor: number) => Promise<void>;
}

export interface ReportPortOptions {
  /** Where the port is; looked for anew each time that it is opened. Throws `SelfballoonError` where there is none. */
  readonly find: () => string;
  readonly clock: Clock;
  readonly calls?: PortCalls;
}

/** No write waits for the host; one that does not come back all the same waits for memory, of which the guest may have none. */
const WRITE_LIMIT = millis(1_000);

/** Opens the port once, to see that it can be. Rejects with `SelfballoonError`. */
export async function openReportPort(options: ReportPortOptions): Promise<ReportWay> {
  const { calls = REAL_CALLS, clock } = options;
  let port: Port | null = null;
  const openPort = async (): Promise<Port> => {
    const path = options.find();
    try {
      return new Port(path, await calls.open(path), { calls, clock });
    } catch (error) {
      throw notOpened(path, error);
    }
  };
  const drop = async (): Promise<void> => {
    const dropped = port;
    port = null;
    await dropped?.close();
  };
  const publish: ReportWay['publish'] = async (text, signal) => {
    port ??= await openPort();
    try {
      await port.write(text, signal);
    } catch (error) {
      if (!isForNow(error)) await drop();
      throw error;
    }
  };
  port = await openPort();
  return {
    description: `the port ${port.path}, one a line`,
    alarmsWait: false,
    publish,
    leave: async () => {
      try {
        await port?.write(LAST_WORD, NEVER);
      } catch {
        // The host sees the last report grow old instead.
      }
    },
    close: drop,
  };
}

const NEVER = new AbortController().signal;

class Port {
  readonly path: string;
  readonly #descriptor: number;
  readonly #calls: PortCalls;
  readonly #clock: Clock;
  /** The last thing that was written ended with the end of a line. */
  #isAtStart = false;
  /** Never rejects. */
  #writing: Promise<void> | null = null;

  constructor(
    path: string,
    descriptor: number,
    { calls, clock }: { readonly calls: PortCalls; readonly clock: Clock },
  ) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#calls = calls;
    this.#clock = clock;
  }

  /** Rejects unless all of it was taken. */
  async write(text: string, signal: AbortSignal): Promise<void> {
    // One that was given up on may still be under way, and must not be joined by ever more.
    if (this.#writing !== null) await this.#inTime(this.#writing, signal);
    // Whoever wrote before may have left half a line.
    const bytes = Buffer.from(`${this.#isAtStart ? '' : '\n'}${text}\n`);
    this.#isAtStart = false;
    const work = this.#calls.write(this.#descriptor, bytes);
    this.#writing = work.then(noop, noop).finally(() => (this.#writing = null));
    const written = await this.#inTime(work, signal);
    if (written !== bytes.length) throw cutShort(this.path, written, bytes.length);
    this.#isAtStart = true;
  }

  async #inTime<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    const giveUp = (): SelfballoonError => tooSlow(this.path);
    try {
      return await unlessAborted(unlessAborted(work, this.#clock.timeLimit(WRITE_LIMIT), giveUp), signal, giveUp);
    } catch (error) {
      throw error instanceof SelfballoonError ? error : notWritten(this.path, error);
    }
  }

  /** The descriptor is closed when no write uses it any more, which may be after this resolves. */
  async close(): Promise<void> {
    const isIdle = this.#writing === null;
    const closed = (this.#writing ?? Promise.resolve()).then(() => this.#calls.close(this.#descriptor)).catch(noop);
    if (isIdle) await closed;
  }
}

const noop = (): void => undefined;

/** The port itself is as it should be. */
const isForNow = (error: unknown): boolean =>
  error instanceof SelfballoonError && (error.code === 'EUNAVAILABLE' || error.code === 'ETIMEDOUT');

const tooSlow = (path: string): SelfballoonError =>
  new SelfballoonError({ code: 'ETIMEDOUT', message: `writing to ${path} was not finished in time` });

const cutShort = (path: string, written: number, length: number): SelfballoonError =>
  new SelfballoonError({ code: 'EUNAVAILABLE', message: `${path} took ${written} of ${length} bytes` });

function notWritten(path: string, cause: unknown): SelfballoonError {
  if (systemErrorCode(cause) === 'EAGAIN') {
    return new SelfballoonError({
      code: 'EUNAVAILABLE',
      message: `nobody on the host is connected to the port ${path}, or whoever is does not read`,
      cause,
    });
  }
  return new SelfballoonError({ code: 'EIO', message: `writing to ${path} failed: ${errorText(cause)}`, cause });
}

const ADVICE: Readonly<Record<string, string>> = {
  EMFILE: 'Does another agent run already? Only one program may have a port open',
  EBUSY: 'Does another agent run already? Only one program may have a port open',
  EACCES: 'Run it as root, or give this user access to the device',
  EPERM: 'Run it as root, or give this user access to the device',
};

function notOpened(path: string, cause: unknown): SelfballoonError {
  if (cause instanceof SelfballoonError) return cause;
  const code = systemErrorCode(cause) ?? '';
  const isForbidden = code === 'EACCES' || code === 'EPERM';
  return new SelfballoonError({
    code: isForbidden ? 'EPERM' : 'ENODEV',
    message: `the port ${path} cannot be opened: ${errorText(cause)}`,
    advice: ADVICE[code] ?? 'See that the virtual machine has the port, and that the module virtio_console is loaded',
    cause,
  });
}

const openFile = promisify(open);
const closeFile = promisify(close);
const statFile = promisify(fstat);

/** A file would take reports for ever and grow. */
async function openDevice(path: string): Promise<number> {
  const descriptor = await openFile(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  const found = await statFile(descriptor);
  if (found.isCharacterDevice() || found.isFIFO()) return descriptor;
  await closeFile(descriptor);
  throw new SelfballoonError({
    code: 'EINVAL',
    message: `${path} is neither a port nor a pipe`,
    advice: `Name the device of a port of virtio-serial, as /dev/virtio-ports/${OWN_PORT}`,
  });
}

const REAL_CALLS: PortCalls = {
  open: openDevice,
  write: (descriptor, bytes) =>
    new Promise((resolve, reject) => {
      write(descriptor, bytes, 0, bytes.length, null, (error, written) => {
        if (error === null) resolve(written);
        else reject(error);
      });
    }),
  close: closeFile,
};
