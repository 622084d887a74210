/**
 * Reads a small kernel file again and again, cheaply: the descriptor stays open, and every read starts at position 0 into the
 * same buffer. What goes wrong is a typed unknown, never an exception. It does not know what the text means.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statfsSync } from 'node:fs';
import { known, unknown, type Field, type Unknown } from '../control/signal.js';
import { errorText, systemErrorCode } from '../errors.js';
import { TEXT_LENGTH_MAX } from './text.js';

export interface ProcFileOptions {
  /** A longer text is `malformed`. 1 MiB. */
  readonly bytesMax?: number;
  /** Only the whole lines within the first so many bytes are wanted: one call of the kernel instead of two or more. */
  readonly headBytes?: number;
  /** After a failed open, so many reads answer with the same unknown before the file is looked for again. 16. */
  readonly readsBetweenRetries?: number;
}

/** A kernel file that is kept open. */
export interface ProcFile {
  readonly path: string;
  /**
   * The whole text as it is now. Missing file or device: `not-reported`; no permission, `EIO` and the like: `unreadable`;
   * longer than the limit: `malformed`. Bytes that are not UTF-8 become U+FFFD. Never throws.
   */
  read(): Field<string>;
  /** Gives the descriptor back. A read after that is `unreadable`. */
  close(): void;
}

/** Opens at once; a file that is missing is looked for again later. Never throws. */
export function openProcFile(path: string, options: ProcFileOptions = {}): ProcFile {
  return new KeptFile(path, options);
}

const FIRST_BUFFER_BYTES = 8192;
const READS_BETWEEN_RETRIES = 16;
const CODE_NEWLINE = 10;
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ENODEV', 'ENXIO']);
/** Reading PSI on a kernel started without it gives this. */
const UNSUPPORTED = new Set(['ENOTSUP', 'EOPNOTSUPP']);
/** procfs and sysfs: their files are made afresh for each read, and are never replaced under an open descriptor. */
const KERNEL_FILE_SYSTEMS = new Set([0x9fa0, 0x62656572]);

class KeptFile implements ProcFile {
  readonly path: string;
  readonly #bytesMax: number;
  readonly #headBytes: number | null;
  readonly #readsBetweenRetries: number;
  #buffer: Buffer;
  #descriptor: number | null = null;
  #mayBeReplaced = false;
  #failure: Unknown = unknown('unreadable', 'not opened');
  #readsUntilRetry = 0;
  #isClosed = false;

  constructor(path: string, options: ProcFileOptions) {
    this.path = path;
    this.#bytesMax = options.bytesMax ?? TEXT_LENGTH_MAX;
    this.#headBytes = options.headBytes ?? null;
    this.#readsBetweenRetries = options.readsBetweenRetries ?? READS_BETWEEN_RETRIES;
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(FIRST_BUFFER_BYTES, this.#bytesMax + 1));
    this.#open();
  }

  read(): Field<string> {
    if (this.#isClosed) return unknown('unreadable', `${this.path} was closed`);
    const descriptor = this.#current() ?? this.#openAgain();
    return descriptor === null ? this.#failure : this.#readText(descriptor);
  }

  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  /** The open descriptor, or null when there is none or its file has been deleted or replaced. */
  #current(): number | null {
    const descriptor = this.#descriptor;
    if (descriptor === null || !this.#mayBeReplaced || !isUnlinked(descriptor)) return descriptor;
    this.#drop();
    return null;
  }

  #openAgain(): number | null {
    if (this.#readsUntilRetry === 0) return this.#open();
    this.#readsUntilRetry -= 1;
    return null;
  }

  #open(): number | null {
    try {
      // Without O_NONBLOCK a pipe under an injected root would hold up the whole process.
      this.#descriptor = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
      this.#mayBeReplaced = !isKernelFile(this.path);
    } catch (error) {
      this.#failure = describe(this.path, 'open', error);
      this.#readsUntilRetry = this.#readsBetweenRetries;
    }
    return this.#descriptor;
  }

  #readText(descriptor: number): Field<string> {
    try {
      return this.#headBytes === null ? this.#readToEnd(descriptor) : this.#readHead(descriptor, this.#headBytes);
    } catch (error) {
      const failure = describe(this.path, 'read', error);
      // The next read opens it afresh: a device may have come back under the same name.
      if (!UNSUPPORTED.has(systemErrorCode(error) ?? '')) this.#drop();
      return failure;
    }
  }

  /** The kernel hands long files out in pieces; only a read of 0 bytes is the end. */
  #readToEnd(descriptor: number): Field<string> {
    let length = 0;
    for (;;) {
      if (length > this.#bytesMax) return unknown('malformed', `${this.path} is longer than ${this.#bytesMax} bytes`);
      if (length === this.#buffer.length) this.#grow(length);
      const count = readSync(descriptor, this.#buffer, length, this.#buffer.length - length, length);
      if (count === 0) return known(this.#buffer.toString('utf8', 0, length));
      length += count;
    }
  }

  #readHead(descriptor: number, bytes: number): Field<string> {
    const count = readSync(descriptor, this.#buffer, 0, Math.min(bytes, this.#buffer.length), 0);
    const lastLine = count < bytes ? -1 : this.#buffer.lastIndexOf(CODE_NEWLINE, count - 1);
    return known(this.#buffer.toString('utf8', 0, lastLine === -1 ? count : lastLine + 1));
  }

  #grow(used: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#buffer.length * 2, this.#bytesMax + 1));
    this.#buffer.copy(larger, 0, 0, used);
    this.#buffer = larger;
  }

  #drop(): void {
    const descriptor = this.#descriptor;
    this.#descriptor = null;
    if (descriptor !== null) closeQuietly(descriptor);
  }
}

/** Closing after a failed read can fail too; the descriptor is gone either way and nothing was written to it. */
function closeQuietly(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch (error) {
    if (systemErrorCode(error) === null) throw error;
  }
}

function isKernelFile(path: string): boolean {
  try {
    return KERNEL_FILE_SYSTEMS.has(statfsSync(path).type);
  } catch (error) {
    if (systemErrorCode(error) === null) throw error;
    return false;
  }
}

/** A deleted or replaced file would go on giving its last text for ever. */
function isUnlinked(descriptor: number): boolean {
  return fstatSync(descriptor).nlink === 0;
}

function describe(path: string, doing: 'open' | 'read', error: unknown): Unknown {
  const code = systemErrorCode(error) ?? '';
  if (MISSING.has(code)) return unknown('not-reported', `there is no ${path}`);
  if (UNSUPPORTED.has(code)) return unknown('not-reported', `this kernel has ${path} switched off`);
  const advice = code === 'EACCES' || code === 'EPERM' ? '; run as a user who may read it' : '';
  return unknown('unreadable', `cannot ${doing} ${path}: ${errorText(error)}${advice}`);
}
