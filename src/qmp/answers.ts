/**
 * What the answers to commands say, with their units. QEMU says it, and some of it is the guest's word, who may be hostile: nothing here
 * throws, and what is not as it should be is null. The names and units are those of QEMU's `qapi/*.json`, of 7.2 and newer.
 */
import { bytes, type Bytes } from '../units.js';
import { booleanIn, bytesIn, countIn, isObject, listIn, objectIn, textIn } from './fields.js';
import type { QmpArguments } from './message.js';

/** Which QEMU it is. */
export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  /** From 50: not a release, but on the way to the next minor one. */
  readonly micro: number;
  /** What its distributor calls it; may be empty. */
  readonly package: string;
}

/** `query-version`, or the `version` of the greeting. Null where it is malformed. */
export function decodeVersion(answer: unknown): QemuVersion | null {
  const { qemu, package: packaged } = objectIn(answer);
  const numbers = objectIn(qemu);
  const [major, minor, micro] = [countIn(numbers['major']), countIn(numbers['minor']), countIn(numbers['micro'])];
  if (major === null || minor === null || micro === null) return null;
  return { major, minor, micro, package: textIn(packaged) ?? '' };
}

/** `query-name`: the machine's name. Null also where it has none. */
export const decodeName = (answer: unknown): string | null => textIn(objectIn(answer)['name']);

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** What QEMU says where none was given to it. */
const NO_UUID = '00000000-0000-0000-0000-000000000000';

/** `query-uuid`: the machine's UUID, in small letters. Null also where it has none. */
export function decodeUuid(answer: unknown): string | null {
  const uuid = textIn(objectIn(answer)['UUID']);
  return uuid !== null && UUID.test(uuid) && uuid !== NO_UUID ? uuid.toLowerCase() : null;
}

/** How the machine is. */
export interface MachineStatus {
  /** Whether its processors run. */
  readonly isRunning: boolean;
  /** As `running`, `paused`, `prelaunch`, `inmigrate`, `shutdown`; newer QEMUs may know more. */
  readonly status: string;
}

/** `query-status`. Null where it is malformed. */
export function decodeStatus(answer: unknown): MachineStatus | null {
  const { running, status } = objectIn(answer);
  const isRunning = booleanIn(running);
  const word = textIn(status);
  return isRunning === null || word === null ? null : { isRunning, status: word };
}

/** `query-balloon`: what the guest keeps, which is its memory less what is in the balloon. */
export const decodeBalloon = (answer: unknown): Bytes | null => bytesIn(objectIn(answer)['actual']);

/**
 * The arguments of `balloon`: the guest is to keep `size`. QEMU takes more than the guest has for all of it, and refuses 0. That it
 * returns means "asked": how far the guest has come, `query-balloon` and `BALLOON_CHANGE` say.
 */
export const balloonArguments = (size: Bytes): QmpArguments => ({ value: size });

/** A property of a QOM object, or what is below it. */
export interface QomProperty {
  readonly name: string;
  /** As `bool`, `int`, `child<virtio-balloon-pci>`, `link<bus>`. */
  readonly type: string;
}

/** `qom-list`. Null where any of it is malformed. */
export function decodeQomList(answer: unknown): readonly QomProperty[] | null {
  return listIn(answer, (element) => {
    const { name, type } = objectIn(element);
    const [known, kind] = [textIn(name), textIn(type)];
    return known === null || kind === null ? null : { name: known, type: kind };
  });
}

/** A property that is a text, by `qom-get`. Null also where it is empty. */
export const decodePropertyText = (answer: unknown): string | null => textIn(answer);

/** A character device: what is on the host's side of a port. */
export interface Chardev {
  /** Its id. */
  readonly label: string;
  /** As `unix:/run/vm.agent,server=on`, with `disconnected:` before it while nobody is connected. */
  readonly filename: string;
}

/** `query-chardev`. Null where any of it is malformed. */
export function decodeChardevs(answer: unknown): readonly Chardev[] | null {
  return listIn(answer, (element) => {
    const { label, filename } = objectIn(element);
    const [id, name] = [textIn(label), textIn(filename)];
    return id === null || name === null ? null : { label: id, filename: name };
  });
}

/** `guest-stats-polling-interval` of a balloon, by `qom-get`: whole seconds; 0: the guest is not asked for its statistics. */
export const decodePollingInterval = (answer: unknown): number | null => countIn(answer);

/** `deflate-on-oom` of a balloon, by `qom-get`: whether a guest that runs out of memory takes it out of the balloon itself. */
export const decodeDeflateOnOom = (answer: unknown): boolean | null => booleanIn(answer);

/** How much memory the machine has, whatever its balloon holds of it. */
export interface MemorySizeSummary {
  /** What the machine was started with. */
  readonly base: Bytes;
  /** What was plugged into it, that of virtio-mem as far as it is there; null where this QEMU cannot plug memory. */
  readonly plugged: Bytes | null;
}

/** `query-memory-size-summary`. Null where it is malformed. */
export function decodeMemorySizeSummary(answer: unknown): MemorySizeSummary | null {
  const summary = objectIn(answer);
  const base = bytesIn(summary['base-memory']);
  const plugged = bytesIn(summary['plugged-memory']);
  if (base === null || (plugged === null && 'plugged-memory' in summary)) return null;
  return { base, plugged };
}

/** A virtio-mem device of `query-memory-devices`. */
export interface VirtioMemDevice {
  /** Null where it was given none. */
  readonly id: string | null;
  /** Where it begins in the guest's memory. */
  readonly address: Bytes;
  /** What was asked for, of `maxSize`. */
  readonly requestedSize: Bytes;
  /** What the guest has taken up of it. */
  readonly size: Bytes;
  readonly maxSize: Bytes;
  /** All sizes are multiples of it. */
  readonly blockSize: Bytes;
  /** The guest's NUMA node. */
  readonly node: number;
  /** The QOM path of the memory behind it. */
  readonly memdev: string;
}

/** `query-memory-devices`: those of virtio-mem; others are left out. Null when one of them is not understood. */
export function decodeVirtioMemDevices(answer: unknown): readonly VirtioMemDevice[] | null {
  const all = listIn(answer, (element) => (isObject(element) && typeof element['type'] === 'string' ? element : null));
  const ours = all?.filter(({ type }) => type === 'virtio-mem').map(({ data }) => data);
  return listIn(ours, decodeVirtioMem);
}

/** `query-memory-devices`: what is in DIMMs, NVDIMMs not among them. 0 also where it is malformed. */
export function decodeDimmSize(answer: unknown): Bytes {
  if (!Array.isArray(answer)) return bytes(0);
  const dimms = answer.map(objectIn).filter(({ type }) => type === 'dimm');
  return bytes(dimms.reduce((sum, { data }) => sum + (bytesIn(objectIn(data)['size']) ?? 0), 0));
}

function decodeVirtioMem(data: unknown): VirtioMemDevice | null {
  const device = objectIn(data);
  const address = bytesIn(device['memaddr']);
  const requestedSize = bytesIn(device['requested-size']);
  const size = bytesIn(device['size']);
  const maxSize = bytesIn(device['max-size']);
  const blockSize = bytesIn(device['block-size']);
  const node = countIn(device['node']);
  const memdev = textIn(device['memdev']);
  if (address === null || requestedSize === null || size === null || maxSize === null) return null;
  if (blockSize === null || node === null || memdev === null) return null;
  return { id: textIn(device['id']), address, requestedSize, size, maxSize, blockSize, node, memdev };
}
