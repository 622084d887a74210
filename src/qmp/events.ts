/**
 * What the events say that matter to a machine's memory and life, with their units. Nothing here throws: what is not as it should be
 * is null. QEMU sends `BALLOON_CHANGE` once a second at most, and so `VSERPORT_CHANGE` of one port and `MEMORY_DEVICE_SIZE_CHANGE` of
 * one device: the newest in that second.
 */
import type { Bytes } from '../units.js';
import { booleanIn, bytesIn, objectIn, textIn, type JsonObject } from './fields.js';
import type { QmpEvent } from './message.js';

export type MachineNews =
  /** `BALLOON_CHANGE`: what the guest keeps now. */
  | { readonly kind: 'balloon-change'; readonly actual: Bytes }
  /** `MEMORY_DEVICE_SIZE_CHANGE`. `id` is null where it was given none, `qomPath` before QEMU 6.2. */
  | {
      readonly kind: 'memory-device-size-change';
      readonly id: string | null;
      readonly size: Bytes;
      readonly qomPath: string | null;
    }
  /** `SHUTDOWN`: QEMU is about to end, unless it was started with `-no-shutdown`. */
  | ({ readonly kind: 'shutdown' } & Cause)
  /** `RESET`: the guest begins anew. */
  | ({ readonly kind: 'reset' } & Cause)
  /** `STOP`: its processors do not run any more. */
  | { readonly kind: 'stop' }
  /** `RESUME`: its processors run again. */
  | { readonly kind: 'resume' }
  /** `VSERPORT_CHANGE`: somebody in the guest has opened or closed a serial port of virtio. `id`: the device's. */
  | { readonly kind: 'serial-port-change'; readonly id: string; readonly isOpen: boolean }
  /** `DEVICE_DELETED`: a device is gone. `device` is null where it was given no id. `path`: where it was, by QOM. */
  | { readonly kind: 'device-deleted'; readonly device: string | null; readonly path: string }
  /** `ACPI_DEVICE_OST` of a DIMM's slot: the guest has dealt with one that was plugged in, or shall be unplugged, well or not. */
  | { readonly kind: 'dimm-status' };

interface Cause {
  /** Whether the guest asked for it; null: QEMU does not say. */
  readonly byGuest: boolean | null;
  /** As `guest-shutdown`, `host-qmp-quit`, `host-signal`; null: QEMU does not say. */
  readonly reason: string | null;
}

/** What an event says. Null for events of other names, and for what is not as it should be. */
export function decodeEvent({ name, data }: QmpEvent): MachineNews | null {
  switch (name) {
    case 'BALLOON_CHANGE':
      return balloonChange(data);
    case 'MEMORY_DEVICE_SIZE_CHANGE':
      return sizeChange(data);
    case 'SHUTDOWN':
      return { kind: 'shutdown', ...causeIn(data) };
    case 'RESET':
      return { kind: 'reset', ...causeIn(data) };
    case 'STOP':
      return { kind: 'stop' };
    case 'RESUME':
      return { kind: 'resume' };
    case 'VSERPORT_CHANGE':
      return portChange(data);
    case 'DEVICE_DELETED':
      return deviceDeleted(data);
    case 'ACPI_DEVICE_OST':
      return objectIn(data['info'])['slot-type'] === 'DIMM' ? { kind: 'dimm-status' } : null;
    default:
      return null;
  }
}

function balloonChange(data: JsonObject): MachineNews | null {
  const actual = bytesIn(data['actual']);
  return actual === null ? null : { kind: 'balloon-change', actual };
}

function sizeChange(data: JsonObject): MachineNews | null {
  const size = bytesIn(data['size']);
  if (size === null) return null;
  return { kind: 'memory-device-size-change', id: textIn(data['id']), size, qomPath: textIn(data['qom-path']) };
}

const causeIn = (data: JsonObject): Cause => ({ byGuest: booleanIn(data['guest']), reason: textIn(data['reason']) });

function portChange(data: JsonObject): MachineNews | null {
  const id = textIn(data['id']);
  const isOpen = booleanIn(data['open']);
  return id === null || isOpen === null ? null : { kind: 'serial-port-change', id, isOpen };
}

function deviceDeleted(data: JsonObject): MachineNews | null {
  const path = textIn(data['path']);
  return path === null ? null : { kind: 'device-deleted', device: textIn(data['device']), path };
}
