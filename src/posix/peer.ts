/**
 * Who is at the other end of a unix socket, as the kernel says. It decides nothing about what they may do.
 *
 * Node.js has no call for it, so getsockopt(2) is called through koffi. That is loaded when first needed, for it takes 2 to
 * 3 MiB; and at once (10 ms), so that a connection never waits in between without anybody knowing whose it is.
 */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type Koffi from 'koffi';
import { errorText } from '../errors.js';

export type Peer =
  | { readonly kind: 'known'; readonly uid: number; readonly gid: number; readonly pid: number }
  | { readonly kind: 'unknown'; readonly why: string };

/** From asm-generic/socket.h. MIPS, PowerPC, SPARC and PA-RISC number them differently. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const ARCHITECTURES: readonly string[] = ['x64', 'ia32', 'arm', 'arm64', 'riscv64', 'loong64', 's390x'];

/** `struct ucred` is three 32-bit numbers: pid, uid, gid. */
const UCRED_BYTES = 12;

type Getsockopt = (fd: number, level: number, name: number, value: Buffer, length: Buffer) => number;

/** The call, or why there is none; null = not asked for yet. What failed once is not tried again at every connection. */
let loaded: { readonly call: Getsockopt } | { readonly why: string } | null = null;

function loadGetsockopt(): NonNullable<typeof loaded> {
  if (!ARCHITECTURES.includes(process.arch)) return { why: `SO_PEERCRED is not known for ${process.arch}` };
  try {
    const koffi: unknown = createRequire(import.meta.url)('koffi');
    if (!isKoffi(koffi)) return { why: 'koffi is not what it should be' };
    const call = koffi.load(null).func('int getsockopt(int fd, int level, int name, void *value, void *length)');
    return { call: (...given) => Number(call(...given)) };
  } catch (error) {
    return { why: `getsockopt cannot be called: ${errorText(error)}` };
  }
}

const isKoffi = (found: unknown): found is Pick<typeof Koffi, 'load'> =>
  typeof found === 'object' && found !== null && 'load' in found && typeof found.load === 'function';

/** The user at the other end of a connection, as of when the connection was made. Never throws. */
export function peerOf(socket: Socket): Peer {
  loaded ??= loadGetsockopt();
  if ('why' in loaded) return { kind: 'unknown', why: loaded.why };
  const fd = descriptorOf(socket);
  if (fd === null) return { kind: 'unknown', why: 'the connection is closed' };
  try {
    return readCredentials(loaded.call, fd);
  } catch (error) {
    return { kind: 'unknown', why: `getsockopt failed: ${errorText(error)}` };
  }
}

/** Node.js keeps it in a field that is not documented; where that is gone, the peer is unknown. */
function descriptorOf(socket: Socket): number | null {
  if (socket.destroyed || !('_handle' in socket)) return null;
  const handle = socket._handle;
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return null;
  return typeof handle.fd === 'number' && handle.fd >= 0 ? handle.fd : null;
}

function readCredentials(getsockopt: Getsockopt, fd: number): Peer {
  const value = Buffer.alloc(UCRED_BYTES);
  const length = Buffer.from(Int32Array.of(UCRED_BYTES).buffer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length) !== 0) {
    return { kind: 'unknown', why: 'getsockopt refused' };
  }
  const [pid, uid, gid] = new Uint32Array(value.buffer, value.byteOffset, UCRED_BYTES / 4);
  if (pid === undefined || uid === undefined || gid === undefined || uid === NO_USER) {
    return { kind: 'unknown', why: 'this is not a connection with a user at its other end' };
  }
  return { kind: 'known', uid, gid, pid };
}

/** (uid_t) −1: the kernel has no credentials for this socket. */
const NO_USER = 2 ** 32 - 1;
