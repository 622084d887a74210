/** What the daemon in dom0 shows of itself, as far as tests look at it. */
import type { Dom0 } from '../../../lab/xen/dom0.js';
import { quote } from '../../../lab/xen/shell.js';
import { selfballoon } from './commands.js';

export interface ShownStatus {
  /** Counts what has happened. */
  readonly version: number;
  readonly hosts: readonly { readonly freePages: number | null }[];
  readonly guests: readonly {
    readonly name: string;
    readonly phase: string;
    readonly currentPages: number | null;
    readonly why: string;
    readonly reading: { readonly refusal: string | null } | null;
  }[];
}

/** By the command, as an administrator asks. */
export async function statusByCommand(dom0: Dom0): Promise<ShownStatus> {
  return JSON.parse(await selfballoon(dom0, 'status --json')) as ShownStatus;
}

/** HTTP/1.0, so that the answer comes in one piece and its end is the connection's. */
const ASK_SOCKET = [
  'my $daemon = IO::Socket::UNIX->new("/run/selfballoon/selfballoon.sock") or die "no daemon answers: $!";',
  'print $daemon "GET /v1/status HTTP/1.0\\r\\nHost: lab\\r\\n\\r\\n";',
  'local $/; ($_ = <$daemon>) =~ s/^.*?\\r\\n\\r\\n//s; print;',
].join(' ');

/** The same from the daemon's socket, with what Debian has anyway: a start of Node.js takes the emulated dom0 some seconds. */
export async function statusOf(dom0: Dom0): Promise<ShownStatus> {
  return JSON.parse(await dom0.run(`perl -MIO::Socket::UNIX -e ${quote(ASK_SOCKET)}`)) as ShownStatus;
}
