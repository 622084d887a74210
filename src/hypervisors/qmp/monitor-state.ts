/** What can be known of whoever is behind a monitor's socket. It does not know how that is found out. */
import type { GuestDescription } from '../../control/ports.js';
import { errorText, systemErrorCode } from '../../errors.js';
import { QmpError, type Qmp } from '../../qmp/index.js';
import type { Machine } from './machine.js';

/** A machine that answers. */
export interface Present {
  readonly kind: 'present';
  readonly machine: Machine;
  readonly told: GuestDescription;
}

/** What is known of whoever is behind the socket. */
export type MonitorState =
  /** Nobody yet: somebody listens there as far as is known, and has neither answered nor failed to since there was last a connection. */
  | { readonly kind: 'meeting' }
  /** It has said who it is, and waits for its name: what was changed in it must be put back already. */
  | { readonly kind: 'waiting'; readonly machine: Machine }
  | Present
  /** The machine behind it is present at another monitor: the connection is kept and not used. */
  | { readonly kind: 'spare'; readonly qmp: Qmp }
  /** Nobody listens there any more. */
  | { readonly kind: 'deserted' }
  /** There may be somebody, and he could not be met. */
  | { readonly kind: 'failing'; readonly why: string };

export const MEETING: MonitorState = { kind: 'meeting' };
const DESERTED: MonitorState = { kind: 'deserted' };

/** Whether it is a matter of seconds until it is known who is there. */
export const isMeeting = ({ kind }: MonitorState): boolean => kind === 'meeting' || kind === 'waiting';

/** After `error` came of connecting or meeting; `last` is who was present there last. */
export const failedState = (error: unknown, last: Machine | null): MonitorState =>
  isDeserted(error, last) ? DESERTED : { kind: 'failing', why: errorText(error) };

/**
 * Whether nobody is behind a socket any more: nobody listens there, or what listens in front of a QEMU that was there, as a proxy does,
 * ends each connection before anything came. A QEMU that hangs, or is held by somebody else, does not end it.
 */
function isDeserted(error: unknown, last: Machine | null): boolean {
  const code = systemErrorCode(error instanceof Error ? error.cause : null);
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return true;
  const isEnded =
    error instanceof QmpError && error.qmpCode === 'EUNAVAILABLE' && (code === null || code === 'ECONNRESET');
  return isEnded && last !== null;
}
