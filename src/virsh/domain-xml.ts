/**
 * What a running domain is made of, as far as its memory goes: out of libvirt's description of it (`virsh dumpxml`). Its administrator
 * writes parts of that freely. It does not know what follows from anything.
 */
import { parseXml, type XmlElement } from '@rgrove/parse-xml';
import { errorText } from '../errors.js';
import { kib, type KiB } from '../units.js';
import { childOf, childrenOf, textOf } from './elements.js';
import { brokenProtocol } from './errors.js';
import { keptIn } from './kept-memory.js';
import { countIn, kibIn } from './numbers.js';

export interface DomainBalloon {
  /** QEMU offers the guest to deflate it itself when it runs out of memory. */
  readonly deflatesOnOom: boolean;
  /** How often the guest is asked for statistics, in seconds; 0: not at all. */
  readonly statsPeriod: number;
}

/** Memory that can be, or was, added to a domain while it runs. Null: it does not say. */
export interface MemoryDevice {
  /** `virtio-mem`, `dimm` … */
  readonly model: string;
  readonly alias: string | null;
  /** Most that it can add. */
  readonly size: KiB | null;
  /** virtio-mem adds whole blocks. */
  readonly block: KiB | null;
  /** What virtio-mem was asked to add, and what the guest has taken of that. */
  readonly requested: KiB | null;
  readonly current: KiB | null;
}

export interface DomainShape {
  /** Of this run of the domain: another number after each start. Null: it does not run. */
  readonly id: number | null;
  readonly name: string;
  readonly uuid: string;
  /** What the guest keeps, with what virtio-mem has added, of the same moment as its devices; null: it does not say. */
  readonly currentMemory: KiB | null;
  /** Null: it has none. */
  readonly balloon: DomainBalloon | null;
  readonly memoryDevices: readonly MemoryDevice[];
  /** What in it lets its QEMU keep what the guest gives up, in the description's words; null: nothing. */
  readonly keptBy: string | null;
  /** The host's ends of its virtio-serial ports: unix sockets by the ports' names. */
  readonly channels: ReadonlyMap<string, string>;
}

/** The model of devices into which memory can be plugged, and out of them again, block by block. */
export const VIRTIO_MEM = 'virtio-mem';

/** The port of QEMU's agent in a guest, where a domain has a channel for it. */
export const QEMU_AGENT_PORT = 'org.qemu.guest_agent.0';

/** Throws `VirshError` (EPROTO) for what is no description of a domain. */
export function parseDomainXml(lines: readonly string[]): DomainShape {
  const domain = rootOf(lines.join('\n'));
  const [name, uuid] = [textOf(childOf(domain, 'name')), textOf(childOf(domain, 'uuid'))];
  if (domain.name !== 'domain' || name === '') throw brokenProtocol('libvirt described a domain without a name');
  const devices = childOf(domain, 'devices');
  return {
    id: countIn(domain.attributes['id']),
    name,
    uuid,
    currentMemory: sizeOf(childOf(domain, 'currentMemory')),
    balloon: balloonIn(devices),
    memoryDevices: childrenOf(devices, 'memory').map(memoryDevice),
    keptBy: keptIn(childOf(domain, 'memoryBacking'), devices),
    channels: new Map(childrenOf(devices, 'channel').flatMap(socketOf)),
  };
}

function rootOf(text: string): XmlElement {
  try {
    const { root } = parseXml(text);
    if (root !== null) return root;
  } catch (error) {
    throw brokenProtocol(`libvirt described a domain in what is no XML: ${errorText(error).split('\n')[0] ?? ''}`);
  }
  throw brokenProtocol('libvirt described a domain with nothing');
}

/** The models that QEMU has; `xen` is another's, and `none` is none. */
function balloonIn(devices: XmlElement | null): DomainBalloon | null {
  const balloon = childrenOf(devices, 'memballoon').find((one) => /^virtio/.test(one.attributes['model'] ?? ''));
  if (balloon === undefined) return null;
  return {
    deflatesOnOom: balloon.attributes['autodeflate'] === 'on',
    statsPeriod: countIn(childOf(balloon, 'stats')?.attributes['period']) ?? 0,
  };
}

function memoryDevice(element: XmlElement): MemoryDevice {
  const target = childOf(element, 'target');
  const size = (name: string): KiB | null => sizeOf(childOf(target, name));
  return {
    model: element.attributes['model'] ?? '',
    alias: childOf(element, 'alias')?.attributes['name'] ?? null,
    size: size('size'),
    block: size('block'),
    requested: size('requested'),
    current: size('current'),
  };
}

/** libvirt writes every size in KiB, whatever its administrator wrote. */
function sizeOf(element: XmlElement | null): KiB | null {
  const unit = element?.attributes['unit'] ?? 'KiB';
  return unit === 'KiB' ? kibIn(textOf(element).trim()) : null;
}

function socketOf(channel: XmlElement): readonly (readonly [string, string])[] {
  const port = childOf(channel, 'target')?.attributes['name'];
  const path = childOf(channel, 'source')?.attributes['path'];
  const isSocket = channel.attributes['type'] === 'unix';
  return isSocket && port !== undefined && path !== undefined ? [[port, path]] : [];
}

/** What all virtio-mem devices can add at most, and what the guest has taken of them. Their unknown parts count as nothing. */
export function virtioMem({ memoryDevices }: DomainShape): { readonly size: KiB; readonly current: KiB } {
  const devices = memoryDevices.filter(({ model }) => model === VIRTIO_MEM);
  const sum = (sizeIn: (device: MemoryDevice) => KiB | null): KiB =>
    kib(devices.reduce((total, device) => total + (sizeIn(device) ?? 0), 0));
  return { size: sum(({ size }) => size), current: sum(({ current }) => current) };
}
