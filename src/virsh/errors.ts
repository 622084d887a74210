/**
 * What can go wrong between us and virsh, or between virsh and libvirt, in words and with what to do. A `VirshError` has two codes:
 * `code` is one of the program's own, for those who know nothing of libvirt; `virshCode` says what kind of failure it is.
 */
import { errorText, quoted, SelfballoonError, type ErrorCode } from '../errors.js';

/**
 * - `EREFUSED`: libvirt refused, in words
 * - `EGONE`: libvirt knows no such domain, or it does not run
 * - `EACCES`: this user may not
 * - `EUNAVAILABLE`: no virsh, or no libvirt behind it
 * - `ETIMEDOUT`: no answer within the time limit, by our clock or by libvirt's
 * - `EPROTO`: what came was not what virsh says
 * - `EBUSY`: too much is waiting already; it was not asked
 * - `EINVAL`: it cannot be said to virsh; it was not asked
 */
export type VirshCode = 'EREFUSED' | 'EGONE' | 'EACCES' | 'EUNAVAILABLE' | 'ETIMEDOUT' | 'EPROTO' | 'EBUSY' | 'EINVAL';

export interface VirshErrorDetails {
  readonly virshCode: VirshCode;
  readonly message: string;
  readonly advice?: string;
  readonly cause?: unknown;
  /** Default false. */
  readonly mayHaveHappened?: boolean;
}

const OWN_CODES: Readonly<Record<VirshCode, ErrorCode>> = {
  EREFUSED: 'EIO',
  EGONE: 'EGONE',
  EACCES: 'EPERM',
  EUNAVAILABLE: 'EUNAVAILABLE',
  ETIMEDOUT: 'ETIMEDOUT',
  EPROTO: 'EIO',
  EBUSY: 'EIO',
  EINVAL: 'EINVAL',
};

/** virsh or libvirt refused, failed, did not answer or was not understood. Match `virshCode`, or `code` for the program's own word. */
export class VirshError extends SelfballoonError {
  override readonly name = 'VirshError';
  readonly virshCode: VirshCode;
  /** Whether libvirt may have done, or may yet do, what it was asked: it was asked, and there is no answer. */
  readonly mayHaveHappened: boolean;

  constructor(details: VirshErrorDetails) {
    super({ ...details, code: OWN_CODES[details.virshCode] });
    this.virshCode = details.virshCode;
    this.mayHaveHappened = details.mayHaveHappened ?? false;
  }
}

/** libvirt's words for one error can be several lines. */
const SAID_CHARACTERS_MAX = 300;

interface Kind {
  readonly says: RegExp;
  readonly virshCode: VirshCode;
  readonly advice?: string;
}

const MAY_NOT =
  'Run as root, join the group libvirt, or give this user the right org.libvirt.unix.manage (docs/guides/libvirt.md)';

/** virsh says everything with words: those of libvirt 5 to 11 in the C locale. The first that fits counts. */
const KINDS: readonly Kind[] = [
  {
    says: /authentication (unavailable|failed)|access denied|[Pp]ermission denied/,
    virshCode: 'EACCES',
    advice: MAY_NOT,
  },
  { says: /read only access prevents|operation forbidden/, virshCode: 'EACCES', advice: MAY_NOT },
  { says: /failed to get domain|Domain not found|no domain with matching|domain is not running/, virshCode: 'EGONE' },
  {
    says: /Timed out during operation|cannot acquire state change lock/,
    virshCode: 'ETIMEDOUT',
    advice: 'Is its QEMU stopped, or is libvirt busy with it (migration, snapshot)?',
  },
  {
    says: /[Ff]ailed to (re)?connect|Disconnected from|client socket is closed|Cannot recv data|Cannot write data/,
    virshCode: 'EUNAVAILABLE',
    advice: 'See whether libvirtd (or virtqemud) runs, and whether libvirt.uri is right',
  },
  { says: /exec: |not found$/, virshCode: 'EUNAVAILABLE', advice: 'Install virsh (Debian: libvirt-clients)' },
];

/** libvirt, or virsh itself, answered `asked` with these words. */
export function refused(asked: string, said: string): VirshError {
  const { virshCode, advice } = kindOf(said) ?? { virshCode: 'EREFUSED' };
  const message = `libvirt refused ${quoted(asked)}: ${quoted(said, SAID_CHARACTERS_MAX)}`;
  return new VirshError({ virshCode, message, ...(advice === undefined ? {} : { advice }) });
}

/** The process is not there any more, and these were its last words. */
export function ended(said: string): VirshError {
  const known = kindOf(said);
  const advice = known?.advice;
  return new VirshError({
    virshCode: known?.virshCode === 'EACCES' ? 'EACCES' : 'EUNAVAILABLE',
    message: `virsh ended: ${quoted(said, SAID_CHARACTERS_MAX)}`,
    ...(advice === undefined ? {} : { advice }),
  });
}

const kindOf = (said: string): Kind | undefined => KINDS.find(({ says }) => says.test(said));

/** The process could not be started. */
export const notStarted = (program: string, cause: unknown): VirshError =>
  new VirshError({
    virshCode: 'EUNAVAILABLE',
    message: `${program} could not be started: ${errorText(cause)}`,
    advice: 'Is this host out of memory or processes?',
    cause,
  });

/** It was begun, and its process has ended before it answered. */
export const cutShort = (asked: string, why: VirshError): VirshError =>
  new VirshError({
    virshCode: why.virshCode,
    message: `${quoted(asked)} has no answer: ${why.message}`,
    cause: why,
    mayHaveHappened: true,
  });

/** No answer in time; the process was killed. */
export const hung = (asked: string, limit: number): VirshError =>
  new VirshError({
    virshCode: 'ETIMEDOUT',
    message: `virsh did not answer ${quoted(asked)} within ${limit} ms and was ended`,
    advice: 'See whether libvirtd answers, and whether a QEMU of this host is stopped',
    mayHaveHappened: true,
  });

/** The other side does not do what virsh does. */
export const brokenProtocol = (seen: string): VirshError =>
  new VirshError({
    virshCode: 'EPROTO',
    message: seen,
    advice: 'Is the virsh on the path the one of libvirt-clients?',
  });

/** Too much waits already. Nothing was asked. */
export const tooMany = (asked: string, waiting: number): VirshError =>
  new VirshError({
    virshCode: 'EBUSY',
    message: `${quoted(asked)} was not asked: ${waiting} commands wait already`,
    advice: 'libvirt is slow or hangs, or this program asks too much of it',
  });

/** Nobody waits for it any more. Nothing was asked. */
export const givenUp = (asked: string): VirshError =>
  new VirshError({ virshCode: 'ETIMEDOUT', message: `${quoted(asked)} was not asked in time` });

/** This program closed it. */
export const closedByUs = (): VirshError =>
  new VirshError({ virshCode: 'EUNAVAILABLE', message: 'the connection to libvirt was closed by this program' });

/** Something was to be said that cannot be. */
export const invalid = (message: string): VirshError =>
  new VirshError({ virshCode: 'EINVAL', message, advice: 'This is a fault of the program; please report it' });

/** There is a libvirt or a virsh that says nothing. */
export const notConnected = (uri: string): VirshError =>
  new VirshError({
    virshCode: 'ETIMEDOUT',
    message: `there was no connection to ${uri} in time`,
    advice: 'See whether libvirtd (or virtqemud) is stopped, or asks for a password',
  });
