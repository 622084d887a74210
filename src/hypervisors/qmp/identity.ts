/** Whether two monitors lead to one machine. Plain comparing: it knows neither connections nor who is driven. */
import type { EmulatorMemory } from '../../signals/emulator-memory.js';

/** Who answers at a monitor, as far as it tells machines apart. */
export interface Identity {
  /** The process at the other end of its socket, as the kernel says; null: not known. */
  readonly pid: number | null;
  /** As QEMU says it; null: it has none. */
  readonly ownName: string | null;
  readonly uuid: string | null;
}

/** The same process says the same of its machine. */
export const saysTheSame = (one: Identity, other: Identity): boolean =>
  one.pid !== null && one.pid === other.pid && one.ownName === other.ownName && one.uuid === other.uuid;

/**
 * A QEMU has one machine. Any other process may stand between, as a proxy does, and in front of several machines of one name: there only a
 * UUID says that they are one. `emulator` is of the process of `one`.
 */
export const isSameMachine = (one: Identity, other: Identity, emulator: Pick<EmulatorMemory, 'isSeen'>): boolean =>
  saysTheSame(one, other) && (one.uuid !== null || emulator.isSeen());
