/**
 * What a machine keeps under an empty balloon: the memory that it was started with and its DIMMs, which come and go while it runs. QEMU has no
 * event for a DIMM that comes, and asking at each look would be a third command for each machine: so this decides when to ask. It does not
 * know what the size is used for.
 */
import { decodeDimmSize } from '../../qmp/index.js';
import { bytes, millis, type Bytes, type Millis } from '../../units.js';

/** A guest without ACPI says nothing of its DIMMs. For 200 machines that is one command in 100 more. */
const READ_ANEW_AFTER = millis(60_000);
/** A QEMU that says two things which do not fit is not asked at each look. */
const MISFIT_PAUSE = millis(1_000);

export interface BaseRead {
  /** What it was started with, which stays; null where this QEMU does not say. */
  readonly booted: Bytes | null;
  /** What is in DIMMs, as far as was said. */
  readonly dimms: Bytes;
  /** When that was asked for. */
  readonly at: Millis;
}

export class BaseMemory {
  #read: BaseRead;
  #doubtedAt: Millis | null = null;

  constructor(read: BaseRead) {
    this.#read = read;
  }

  /** Null where this QEMU does not say. */
  get size(): Bytes | null {
    const { booted, dimms } = this.#read;
    return booted === null ? null : bytes(booted + dimms);
  }

  /** Something has happened that may have to do with DIMMs. */
  doubt(now: Millis): void {
    this.#doubtedAt = now;
  }

  /** Whether a look that begins now must ask for the devices. */
  isDue(now: Millis): boolean {
    return this.size !== null && (this.#doubtedAt !== null || now - this.#read.at >= READ_ANEW_AFTER);
  }

  /** Whether what the guest keeps cannot be, and may be explained by asking for the devices. */
  isContradicted(actual: Bytes | null, now: Millis): boolean {
    const { size } = this;
    return size !== null && actual !== null && actual > size && now - this.#read.at >= MISFIT_PAUSE;
  }

  /** The answer to `query-memory-devices`, asked for in a look that began at `at`. What is no answer changes nothing. */
  note(answer: unknown, at: Millis): void {
    const { booted, dimms } = this.#read;
    this.#read = { booted, dimms: Array.isArray(answer) ? decodeDimmSize(answer) : dimms, at };
    // What was heard since the look began may be later than the answer.
    if (this.#doubtedAt !== null && this.#doubtedAt < at) this.#doubtedAt = null;
  }
}
