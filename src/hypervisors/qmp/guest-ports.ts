/**
 * The serial ports that a machine has for programs in the guest: by their names, and where each comes out on this host. It does not
 * know who speaks over them.
 */
import { quoted } from '../../errors.js';
import { decodeChardevs, decodePropertyText, decodeQomList, type Chardev, type Qmp } from '../../qmp/index.js';
import { answerOrNull } from './answer-or-null.js';

/** Where a port comes out. */
export type PortEnd =
  /** A unix socket at which QEMU listens: anybody who may can connect, one at a time. */
  | SocketEnd
  /** It cannot be used from here; `why` is a sentence without a full stop. */
  | { readonly kind: 'unusable'; readonly why: string };

export interface SocketEnd {
  readonly kind: 'socket';
  readonly path: string;
  /** What QEMU calls the port's device; left out where it was given no id. Without one QEMU tells nothing of it. */
  readonly device?: string;
}

/** By the ports' names, as `org.qemu.guest_agent.0`. */
export type GuestPorts = ReadonlyMap<string, PortEnd>;

/** `-device virtserialport` puts a port here: with an id, and without one. */
const FOLDERS = ['/machine/peripheral', '/machine/peripheral-anon'];
const WITH_ID = '/machine/peripheral/';
const PORT = 'child<virtserialport>';
/** A machine of QEMU's has room for 31 on each of its buses. */
const PORTS_MAX = 64;
/** QEMU 5.2 leaves out `=on`. Of sockets that are not abstract none is called tight. */
const LISTENING = /^(?:disconnected:)?unix:(.*?)(,abstract(?:=on)?(?:,tight(?:=on)?)?)?,server(?:=on)?$/s;

/** The ports there are now. Rejects with `QmpError` when QEMU does not answer. */
export async function findGuestPorts(qmp: Pick<Qmp, 'execute'>, signal: AbortSignal): Promise<GuestPorts> {
  const ask = (command: string, args = {}): Promise<unknown> => answerOrNull(qmp.execute(command, args, { signal }));
  const lists = await Promise.all(FOLDERS.map((path) => ask('qom-list', { path })));
  const paths = lists.flatMap((list, n) =>
    (decodeQomList(list) ?? []).filter(({ type }) => type === PORT).map(({ name }) => `${FOLDERS[n] ?? ''}/${name}`),
  );
  if (paths.length === 0) return new Map();
  const chardevs = decodeChardevs(await ask('query-chardev')) ?? [];
  const found = paths.slice(0, PORTS_MAX).map(async (path) => {
    const [name, label] = await Promise.all(['name', 'chardev'].map((property) => ask('qom-get', { path, property })));
    const known = decodePropertyText(name);
    const end = endOf(decodePropertyText(label), chardevs);
    return known === null ? [] : [[known, withDevice(end, path)] as const];
  });
  return new Map((await Promise.all(found)).flat());
}

function withDevice(end: PortEnd, path: string): PortEnd {
  const id = path.startsWith(WITH_ID) ? path.slice(WITH_ID.length) : '';
  return end.kind === 'socket' && id !== '' ? { ...end, device: id } : end;
}

function endOf(label: string | null, chardevs: readonly Chardev[]): PortEnd {
  const chardev = chardevs.find((one) => one.label === label);
  if (chardev === undefined) return { kind: 'unusable', why: 'nothing is behind it on the host' };
  return portEnd(chardev.filename);
}

/** Where those come out that can be used. */
export const pathsOf = (ports: GuestPorts): readonly string[] => [
  ...new Set([...ports.values()].flatMap((end) => (end.kind === 'socket' ? [end.path] : []))),
];

/** Where a character device leads, by what `query-chardev` calls its file name. */
export function portEnd(filename: string): PortEnd {
  const [, path = '', form = ''] = LISTENING.exec(filename) ?? [];
  const unusable = (why: string): PortEnd => ({ kind: 'unusable', why: `${quoted(filename)} ${why}` });
  if (path === '') return unusable('is no unix socket at which QEMU listens');
  if (form !== '') return unusable('is an abstract socket, and has no path');
  if (!path.startsWith('/')) return unusable("is relative to QEMU's own folder: give it a path from the root");
  return { kind: 'socket', path };
}
