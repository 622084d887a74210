/** Lines of `virsh event`: which domain has come, gone or got other devices. It does not know what follows from that. */

/**
 * - `lifecycle`: it was started, stopped, paused, moved here …
 * - `devices`: it has other devices, or a memory device has another size
 * - `restarted`: its guest begins anew, in the same QEMU
 * - `moved`: its balloon has
 * - `agent`: QEMU's agent in its guest has begun or ended
 */
export interface DomainEvent {
  readonly kind: 'lifecycle' | 'devices' | 'restarted' | 'moved' | 'agent';
  /** Its name. A name that has `':` in it may be cut. */
  readonly domain: string;
  /** In libvirt's words, `Stopped Shutdown`, or the device's alias; empty where there is none. */
  readonly detail: string;
}

const KINDS: Readonly<Record<string, DomainEvent['kind']>> = {
  lifecycle: 'lifecycle',
  'device-added': 'devices',
  'device-removed': 'devices',
  'memory-device-size-change': 'devices',
  reboot: 'restarted',
  'balloon-change': 'moved',
  'agent-lifecycle': 'agent',
};

/** Null for events of other kinds, of which there are many, and for lines that are none. */
export function parseEvent(line: string): DomainEvent | null {
  const [, name = '', quotedDomain, bareDomain, detail = ''] = EVENT.exec(line) ?? PLAIN_EVENT.exec(line) ?? [];
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  const domain = quotedDomain ?? bareDomain;
  return kind === undefined || domain === undefined ? null : { kind, domain, detail: detail.trim() };
}

/** Older virshs do not quote the domain. */
const EVENT = /^(?:\d{4}-\d\d-\d\d [\d:.+]+: )?event '([\w-]+)' for domain (?:'(.*)'|([^']*?)):(.*)$/;
/** Of which there is nothing more to say. */
const PLAIN_EVENT = /^(?:\d{4}-\d\d-\d\d [\d:.+]+: )?event '([\w-]+)' for domain (?:'(.*)'|([^']*))$/;
