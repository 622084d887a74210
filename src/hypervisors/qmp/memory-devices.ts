/**
 * The virtio-mem devices of a machine: which it has, where they hang in QEMU's tree of objects, and how memory that is to be plugged in
 * is spread over them. It does not know how much that should be.
 *
 * QEMU counts them nowhere else: the balloon's size, `query-balloon` and `balloon`, is of the boot memory and of DIMMs (other than
 * NVDIMMs), `get_current_ram_size` in its hw/virtio/virtio-balloon.c, and so it is on QEMU 7.2. What is plugged in comes on top.
 */
import {
  decodeDimmSize,
  decodeQomList,
  decodeVirtioMemDevices,
  QmpError,
  type Qmp,
  type VirtioMemDevice,
} from '../../qmp/index.js';
import { bytes, pagesToBytes, type Bytes, type Pages } from '../../units.js';

type Asking = Pick<Qmp, 'execute'>;

/** What stays the same of one device. */
export interface PlugDevice {
  /** Its QOM path. */
  readonly path: string;
  /** The memory behind it; no other device has the same. */
  readonly memdev: string;
  readonly maxSize: Bytes;
  readonly blockSize: Bytes;
}

/** What is plugged into a machine beyond its boot memory, all devices together. */
export interface PlugSizes {
  readonly plugged: Bytes;
  readonly asked: Bytes;
  readonly pluggable: Bytes;
}

export interface MemoryDevices {
  readonly plugs: readonly PlugDevice[];
  /** What is in DIMMs, which the balloon counts like boot memory. */
  readonly dimms: Bytes;
}

/** Finds them. `answer`: of `query-memory-devices`; null where QEMU has no such command. */
export async function findMemoryDevices(qmp: Asking, answer: unknown, signal: AbortSignal): Promise<MemoryDevices> {
  const devices = decodeVirtioMemDevices(answer) ?? [];
  const nameless = devices.some(({ id }) => id === null) ? await findNameless(qmp, signal) : new Map<string, string>();
  const plugs = devices.flatMap(({ id, memdev, maxSize, blockSize }): readonly PlugDevice[] => {
    const path = id === null ? nameless.get(memdev) : `/machine/peripheral/${id}`;
    return path === undefined || blockSize === 0 ? [] : [{ path, memdev, maxSize, blockSize }];
  });
  return { plugs, dimms: decodeDimmSize(answer) };
}

const NAMELESS = '/machine/peripheral-anon';
/** Over PCI, and CCW since QEMU 9.2. */
const VIRTIO_MEM = /^child<virtio-mem-(pci|ccw)>$/;

/** The paths of devices that were given no id, by the memory behind them. */
async function findNameless(qmp: Asking, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const ask = (command: string, args: Readonly<Record<string, string>>): Promise<unknown> =>
    qmp.execute(command, args, { signal }).catch(nothing);
  const children = decodeQomList(await ask('qom-list', { path: NAMELESS })) ?? [];
  const paths = children.filter(({ type }) => VIRTIO_MEM.test(type)).map(({ name }) => `${NAMELESS}/${name}`);
  const found = await Promise.all(
    paths.map(async (path) => [await ask('qom-get', { path, property: 'memdev' }), path] as const),
  );
  return new Map(found.flatMap(([memdev, path]) => (typeof memdev === 'string' ? [[memdev, path] as const] : [])));
}

/** What QEMU refuses it does not have. */
function nothing(error: unknown): null {
  if (error instanceof QmpError && error.qmpCode === 'EREFUSED') return null;
  throw error;
}

/** In which steps all of them can be plugged in and out; null: there are none. Block sizes are powers of two. */
export const blockOf = (plugs: readonly PlugDevice[]): Bytes | null =>
  plugs.length === 0 ? null : bytes(Math.max(...plugs.map(({ blockSize }) => blockSize)));

const capacityOf = ({ maxSize }: PlugDevice, block: Bytes): number => Math.floor(maxSize / block) * block;

/** What `query-memory-devices` says of them now; null where it does not say it of each. */
export function sizesOf(plugs: readonly PlugDevice[], answer: unknown): PlugSizes | null {
  const devices = new Map(decodeVirtioMemDevices(answer)?.map((device) => [device.memdev, device]));
  const block = blockOf(plugs);
  if (block === null || plugs.some(({ memdev }) => !devices.has(memdev))) return null;
  const sum = (of: (device: VirtioMemDevice) => number): number =>
    plugs.reduce((total, { memdev }) => total + ofDevice(devices.get(memdev), of), 0);
  const plugged = sum(({ size }) => size);
  const capacity = plugs.reduce((total, plug) => total + capacityOf(plug, block), 0);
  return {
    plugged: bytes(plugged),
    asked: bytes(sum(({ requestedSize }) => requestedSize)),
    pluggable: bytes(Math.max(capacity, plugged)),
  };
}

const ofDevice = (device: VirtioMemDevice | undefined, of: (device: VirtioMemDevice) => number): number =>
  device === undefined ? 0 : of(device);

/** What each device is asked for, in order: the first is filled first. Null: it is not whole blocks, or more than there can be. */
export function spread(plugs: readonly PlugDevice[], plugged: Pages): readonly Bytes[] | null {
  const block = blockOf(plugs);
  let left: number = pagesToBytes(plugged);
  if (block === null || left % block !== 0) return null;
  const sizes = plugs.map((plug) => {
    const size = Math.min(left, capacityOf(plug, block));
    left -= size;
    return bytes(size);
  });
  return left === 0 ? sizes : null;
}
