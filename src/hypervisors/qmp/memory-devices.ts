/**
 * The virtio-mem devices of a machine: which it has, where they hang in QEMU's tree of objects, and what is plugged into them. It does
 * not know how much that should be.
 *
 * QEMU counts them nowhere else: the balloon's size, `query-balloon` and `balloon`, is of the boot memory and of DIMMs (other than
 * NVDIMMs), `get_current_ram_size` in its hw/virtio/virtio-balloon.c, and so it is on QEMU 7.2. What is plugged in comes on top.
 */
import { pluggableIn, type PlugDevice } from '../../adapter/plug-devices.js';
import type { SeenPlug } from '../../adapter/plug-spread.js';
import { decodeDimmSize, decodeQomList, decodeVirtioMemDevices, QmpError, type Qmp } from '../../qmp/index.js';
import type { PlugSizes } from '../../signals/plugged.js';
import { addPages, bytesToPagesDown, maxPages, NO_PAGES, type Bytes, type Pages } from '../../units.js';

type Asking = Pick<Qmp, 'execute'>;

/** One device. */
export interface MachinePlug extends PlugDevice {
  /** Its QOM path. */
  readonly path: string;
  /** The memory behind it; no other device has the same. */
  readonly memdev: string;
}

export interface MemoryDevices {
  readonly plugs: readonly MachinePlug[];
  /** What is in DIMMs, which the balloon counts like boot memory. */
  readonly dimms: Bytes;
}

/** Finds them. `answer`: of `query-memory-devices`; null where QEMU has no such command. Without `signal` each call has the connection's limit. */
export async function findMemoryDevices(qmp: Asking, answer: unknown, signal?: AbortSignal): Promise<MemoryDevices> {
  const devices = decodeVirtioMemDevices(answer) ?? [];
  const nameless = devices.some(({ id }) => id === null) ? await findNameless(qmp, signal) : new Map<string, string>();
  const plugs = devices.flatMap(({ id, memdev, maxSize, blockSize }): readonly MachinePlug[] => {
    const path = id === null ? nameless.get(memdev) : `/machine/peripheral/${id}`;
    const [maximum, block] = [bytesToPagesDown(maxSize), bytesToPagesDown(blockSize)];
    return path === undefined || block === 0 ? [] : [{ path, memdev, maximum, block }];
  });
  return { plugs, dimms: decodeDimmSize(answer) };
}

const NAMELESS = '/machine/peripheral-anon';
/** Over PCI, and CCW since QEMU 9.2. */
const VIRTIO_MEM = /^child<virtio-mem-(pci|ccw)>$/;

/** The paths of devices that were given no id, by the memory behind them. */
async function findNameless(qmp: Asking, signal: AbortSignal | undefined): Promise<ReadonlyMap<string, string>> {
  const limits = signal === undefined ? {} : { signal };
  const ask = (command: string, args: Readonly<Record<string, string>>): Promise<unknown> =>
    qmp.execute(command, args, limits).catch(nothing);
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

/** One device as `query-memory-devices` says that it is now; null: it does not. */
export type MachinePlugNow = MachinePlug & SeenPlug;

/** What `query-memory-devices` says of them. */
export function seenIn(plugs: readonly MachinePlug[], answer: unknown): readonly MachinePlugNow[] {
  const devices = new Map(decodeVirtioMemDevices(answer)?.map((device) => [device.memdev, device]));
  return plugs.map((plug) => {
    const { size, requestedSize } = devices.get(plug.memdev) ?? {};
    return { ...plug, key: plug.memdev, plugged: inPages(size), asked: inPages(requestedSize) };
  });
}

const inPages = (size: Bytes | undefined): Pages | null => (size === undefined ? null : bytesToPagesDown(size));

/** Whether that answer has one that is not among `plugs`. */
export function hasOthers(answer: unknown, plugs: readonly MachinePlug[]): boolean {
  const known = new Set(plugs.map(({ memdev }) => memdev));
  return decodeVirtioMemDevices(answer)?.some(({ memdev }) => !known.has(memdev)) ?? false;
}

/** What all of them have together; null where it is not said of each. */
export function sizesOf(plugs: readonly MachinePlug[], answer: unknown): PlugSizes | null {
  if (plugs.length === 0) return null;
  let [plugged, asked] = [NO_PAGES, NO_PAGES];
  for (const plug of seenIn(plugs, answer)) {
    if (plug.plugged === null || plug.asked === null) return null;
    [plugged, asked] = [addPages(plugged, plug.plugged), addPages(asked, plug.asked)];
  }
  return { plugged, asked, pluggable: maxPages(pluggableIn(plugs), plugged) };
}
