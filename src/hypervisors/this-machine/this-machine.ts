/**
 * This machine itself, only watched: its own `/proc` is the one source, and there is no balloon to move. For seeing what a
 * policy would do here before anything is allowed to act.
 */
import { join } from 'node:path';
import { untilAborted } from '../../waiting/abort.js';
import { cleanGuestName, guestIdOf } from '../../adapter/guest-name.js';
import type { Capabilities, GuestDescription, GuestNotice, Hypervisor, ReadOutcome } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import { HypervisorError } from '../../errors.js';
import { openGuestReader, type GuestReader } from '../../signals/guest-reader.js';
import { openProcFile } from '../../signals/proc-file.js';
import type { Millis } from '../../units.js';

export interface ThisMachineOptions {
  /** The folder that has `proc` in it. `/`. */
  readonly root?: string;
  readonly now: () => Millis;
}

/**
 * Watches this machine as one guest, `this-machine/<host name>`. `current` and `maximum` are its `MemTotal`. Setting a target
 * and shrinking are refused with `EPERM`.
 */
export function openThisMachine(options: ThisMachineOptions): Hypervisor {
  return new ThisMachine(options.root ?? '/', options.now);
}

const KIND = 'this-machine';
const CAPABILITIES: Capabilities = { canSetTarget: false, hasOverflowTier: false, isSimulated: false };

class ThisMachine implements Hypervisor {
  readonly kind = KIND;
  readonly description = 'this machine itself, only watched: its memory is not changed';
  readonly #reader: GuestReader;
  readonly #now: () => Millis;
  readonly #guest: GuestDescription;
  readonly #closing = new AbortController();

  constructor(root: string, now: () => Millis) {
    const name = readHostName(root);
    this.#reader = openGuestReader({ root, now });
    this.#now = now;
    this.#guest = { id: guestIdOf(KIND, name), name, capabilities: CAPABILITIES };
  }

  /** The one guest, at once; then nothing until `signal` is aborted or the port is closed. */
  async *watchGuests(signal: AbortSignal): AsyncIterable<GuestNotice> {
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    if (ended.aborted) return;
    yield { kind: 'guest-came', guest: this.#guest };
    await untilAborted(ended);
  }

  read(guests: readonly GuestId[], report: (outcome: ReadOutcome) => void, signal: AbortSignal): Promise<void> {
    return attempt(() => {
      for (const guest of guests) {
        this.#refuseLate(guest, signal);
        report(guest === this.#guest.id ? this.#look() : { kind: 'reading-failed', guest, error: notHere(guest) });
      }
    });
  }

  setTarget(guest: GuestId): Promise<void> {
    return attempt(() => {
      throw this.#observedOnly(guest, 'its size cannot be set');
    });
  }

  shrinkOverflow(guest: GuestId): Promise<string> {
    return attempt(() => {
      throw this.#observedOnly(guest, 'there is no overflow tier to shrink');
    });
  }

  close(): Promise<void> {
    return attempt(() => {
      this.#closing.abort();
      this.#reader.close();
    });
  }

  #look(): ReadOutcome {
    const signals = this.#reader.read();
    const size = { current: signals.total, maximum: signals.total };
    return { kind: 'reading', guest: this.#guest.id, reading: { ...signals, ...size, at: this.#now() } };
  }

  #refuseLate(guest: GuestId, signal: AbortSignal): void {
    if (this.#closing.signal.aborted) {
      throw new HypervisorError({ code: 'EIO', guest, message: 'was to be read after this port had been closed' });
    }
    if (!signal.aborted) return;
    throw new HypervisorError({
      code: 'ETIMEDOUT',
      guest,
      message: 'its /proc was to be read, and the time for it was over before it began',
      advice: 'The machine is overloaded, or the time limit is too short',
    });
  }

  #observedOnly(guest: GuestId, why: string): HypervisorError {
    if (guest !== this.#guest.id) return notHere(guest);
    return new HypervisorError({
      code: 'EPERM',
      guest,
      message: `it is only watched, and ${why}`,
      advice: 'Name a hypervisor whose balloon can be reached, with --hypervisor',
    });
  }
}

/** A throw in `action` becomes a rejection, as callers of a port expect. */
async function attempt<T>(action: () => T): Promise<T> {
  return Promise.resolve().then(action);
}

function notHere(guest: GuestId): HypervisorError {
  return new HypervisorError({ code: 'EGONE', guest, message: 'there is no such guest on this machine' });
}

function readHostName(root: string): string {
  const file = openProcFile(join(root, 'proc', 'sys', 'kernel', 'hostname'), { bytesMax: 4096 });
  const text = file.read();
  file.close();
  const name = text.known ? cleanGuestName(KIND, text.value.trim()) : '';
  return name === '' ? 'localhost' : name;
}
