/**
 * The journal as files of NDJSON: written at once, so that a kill loses at most the line under way; rotated at a size, so that
 * it never fills a disk. When it cannot be written it says so once and goes quiet: the loop must not stop for it.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Journal, JournalRecord, StartRecord, StepRecord } from '../control/journal.js';
import { errorText, systemErrorCode } from '../errors.js';
import type { Bytes } from '../units.js';

/** Where a journal is kept, and how much of it. */
export interface JournalFileOptions {
  readonly path: string;
  /** A new file is begun when one has grown past this. */
  readonly sizeMax: Bytes;
  /** How many files are kept, the current one among them; 1 or more. */
  readonly filesMax: number;
  readonly warn: (message: string) => void;
  /** How text is appended. Given by tests only. */
  readonly append?: (descriptor: number, text: string) => number;
}

/**
 * Opens a journal that goes on in the file at `path`, or begins it. Its folder is made where that alone is missing. Throws the system's
 * error when that cannot be done, and an `Error` for what is there and is not a regular file.
 */
export function openJournalFile(options: JournalFileOptions): Journal {
  try {
    return new JournalFile(options);
  } catch (error) {
    if (!isMissing(error) || !makeFolder(dirname(options.path))) throw error;
    return new JournalFile(options);
  }
}

/** As that of other programs' logs: its name is no secret, what is in it need not be seen by all. */
const FOLDER_MODE = 0o750;

/** Not those above it: they would be there but for a mistyped path, or a disk that is not mounted. False where it is there already. */
function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, { mode: FOLDER_MODE });
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

class JournalFile implements Journal {
  readonly #options: JournalFileOptions;
  #descriptor: number | null;
  #written: number;
  #needsStart = true;

  constructor(options: JournalFileOptions) {
    this.#options = options;
    this.#descriptor = this.#open();
    this.#written = fstatSync(this.#descriptor).size;
    // A line cut short by a kill must not spoil the first one of this run.
    if (this.#written > 0) this.#written += writeSync(this.#descriptor, '\n');
  }

  record(step: StepRecord, start: () => StartRecord): void {
    if (this.#descriptor === null) return;
    try {
      if (this.#written >= this.#options.sizeMax) this.#rotate();
      if (this.#needsStart) this.#write(start());
      this.#needsStart = false;
      this.#write(step);
    } catch (error) {
      this.#options.warn(`the journal ${this.#options.path} cannot be written, and stops here: ${errorText(error)}`);
      this.close();
    }
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  /** Readings tell what a guest does: nobody but the owner needs them. */
  #open(): number {
    // A link in a folder that others can write to must not make us append to another file.
    const flags =
      constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const descriptor = openSync(this.#options.path, flags, 0o600);
    if (!fstatSync(descriptor).isFile()) {
      closeSync(descriptor);
      throw new Error('it is not a regular file');
    }
    fchmodSync(descriptor, 0o600);
    return descriptor;
  }

  #write(record: JournalRecord): void {
    if (this.#descriptor === null) return;
    const { append = writeSync } = this.#options;
    this.#written += append(this.#descriptor, `${JSON.stringify(record)}\n`);
  }

  #rotate(): void {
    const { path, filesMax } = this.#options;
    this.close();
    if (filesMax === 1) rmSync(path);
    for (let n = filesMax - 1; n >= 1; n -= 1) {
      renameIfThere(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`);
    }
    this.#descriptor = this.#open();
    this.#written = 0;
    this.#needsStart = true;
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

const isMissing = (error: unknown): boolean => systemErrorCode(error) === 'ENOENT';
