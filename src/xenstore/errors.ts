/**
 * What can go wrong between us and xenstored, in words and with what to do. A `XenstoreError` has two codes: `code` is one of the
 * program's own, for those who know nothing of xenstore; `xenstoreCode` is the word that the protocol uses, for those who do.
 */
import { errorText, quoted, SelfballoonError, systemErrorCode, type ErrorCode } from '../errors.js';

/** The words of `xs_wire.h` (Xen 4.17), and EQUOTA, which the OCaml xenstored says where the C one says ENOSPC. */
export const WIRE_CODES = [
  'EINVAL',
  'EACCES',
  'EEXIST',
  'EISDIR',
  'ENOENT',
  'ENOMEM',
  'ENOSPC',
  'EIO',
  'ENOTEMPTY',
  'ENOSYS',
  'EROFS',
  'EBUSY',
  'EAGAIN',
  'EISCONN',
  'E2BIG',
  'EPERM',
  'EQUOTA',
] as const;

export type WireCode = (typeof WIRE_CODES)[number];

/**
 * A word of the protocol, or:
 * - `EUNAVAILABLE`: no connection, or it was lost while an answer was awaited
 * - `ETIMEDOUT`: no answer within the time limit, or the caller gave up. What was asked for may still come about
 * - `EPROTO`: the other side does not keep to the protocol
 * - `EUNKNOWN`: xenstored refused with a word that is not in the list; `word` has it
 */
export type XenstoreCode = WireCode | 'EUNAVAILABLE' | 'ETIMEDOUT' | 'EPROTO' | 'EUNKNOWN';

export interface XenstoreErrorDetails {
  readonly xenstoreCode: XenstoreCode;
  /** The word as it came over the wire. Default: `xenstoreCode`. */
  readonly word?: string;
  readonly message: string;
  readonly advice?: string;
  readonly cause?: unknown;
  /** Default false. */
  readonly mayHaveHappened?: boolean;
}

/** xenstored refused, failed, did not answer or was not understood. Match `xenstoreCode`, or `code` for the program's own word. */
export class XenstoreError extends SelfballoonError {
  override readonly name = 'XenstoreError';
  readonly xenstoreCode: XenstoreCode;
  /** What xenstored said, at most 32 characters; else the same as `xenstoreCode`. */
  readonly word: string;
  /** Whether xenstored may have done, or may yet do, what it was asked: the request was sent and has no answer. */
  readonly mayHaveHappened: boolean;

  constructor(details: XenstoreErrorDetails) {
    super({ ...details, code: OWN_CODES[details.xenstoreCode] ?? 'EIO' });
    this.xenstoreCode = details.xenstoreCode;
    this.word = details.word ?? details.xenstoreCode;
    this.mayHaveHappened = details.mayHaveHappened ?? false;
  }
}

/** What is not listed is `EIO`: it failed for the reason that the message gives. */
const OWN_CODES: Readonly<Partial<Record<XenstoreCode, ErrorCode>>> = {
  EINVAL: 'EINVAL',
  EACCES: 'EPERM',
  EPERM: 'EPERM',
  EROFS: 'EPERM',
  ENOENT: 'ENOENT',
  ENOMEM: 'ENOMEM',
  EUNAVAILABLE: 'EUNAVAILABLE',
  ETIMEDOUT: 'ETIMEDOUT',
};

const ADVICE: Readonly<Partial<Record<XenstoreCode, string>>> = {
  EACCES: 'Look at the permissions of the node and of its parents (xenstore-ls -p); the toolstack sets them',
  EPERM: 'Only the control domain may do this',
  ENOENT: 'The domain may be gone, or nothing has written this node yet',
  EINVAL: 'The path or the value is not one that xenstored takes',
  ENOSPC: "The domain's quota in xenstored is used up: remove nodes or watches, or raise the quota of xenstored",
  EQUOTA: "The domain's quota in xenstored is used up: remove nodes or watches, or raise the quota of xenstored",
  EAGAIN: 'Others change the same nodes all the time; try again later',
  E2BIG: 'xenstore takes small values only: at most 4096 bytes with the path, and less where a quota says so',
  ENOMEM: 'xenstored is out of memory; look at its domain or process',
  ENOSYS: 'This xenstored does not know the operation',
  EIO: "xenstored's store may be damaged; look at its log",
};

const WORD_CHARACTERS_MAX = 32;
const isWireCode = (word: string): word is WireCode => WIRE_CODES.some((code) => code === word);

/** What was asked of xenstored, for messages. `subject`: the path or the domain it is about; may be empty. */
export interface Subject {
  readonly operation: string;
  readonly subject: string;
}

/** "WRITE of \"/a/b\"". */
export const named = ({ operation, subject }: Subject): string =>
  subject === '' ? operation : `${operation} of ${quoted(subject)}`;

/** xenstored answered with an error. `said` is what it wrote, from whoever it is: it is cut and quoted where it is not a known word. */
export function refused(asked: Subject, said: string): XenstoreError {
  if (isWireCode(said)) {
    const advice = ADVICE[said];
    const message = `xenstored refused ${named(asked)}: ${said}`;
    return new XenstoreError({ xenstoreCode: said, message, ...(advice === undefined ? {} : { advice }) });
  }
  const word = said.slice(0, WORD_CHARACTERS_MAX);
  return new XenstoreError({
    xenstoreCode: 'EUNKNOWN',
    word,
    message: `xenstored refused ${named(asked)} with the unknown word ${quoted(word)}`,
    advice: 'Look at the log of xenstored',
  });
}

/** The kernel did not pass a message on to xenstored. */
export function notTaken(asked: Subject, cause: unknown): XenstoreError {
  const code = systemErrorCode(cause) ?? 'EIO';
  return new XenstoreError({
    xenstoreCode: isWireCode(code) ? code : 'EIO',
    message: `${named(asked)} was not taken by the kernel: ${errorText(cause)}`,
    advice: ADVICE[isWireCode(code) ? code : 'EIO'] ?? 'See the kernel log (dmesg)',
    cause,
  });
}

/** The other side does not speak the protocol, or not correctly. */
export const brokenProtocol = (message: string): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'EPROTO',
    message,
    advice: 'Check that it is xenstored that answers there, and look at its log',
  });

/** An answer came and does not say what such an answer says. */
export const misunderstood = (asked: Subject, message: string): XenstoreError =>
  brokenProtocol(`the answer to ${named(asked)} ${message}`);

/** Something was asked for that must not be sent, or a value is not what it was taken for. */
export const invalid = (message: string, advice?: string): XenstoreError =>
  new XenstoreError({ xenstoreCode: 'EINVAL', message, ...(advice === undefined ? {} : { advice }) });

/** It does not fit a message. `room`: how many bytes would have. */
export const tooLarge = (asked: Subject, size: number, room: number): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'E2BIG',
    message: `${named(asked)} takes ${size} bytes and a message to xenstored has room for ${room}`,
    advice: 'Keep values in xenstore small',
  });

/** The time limit passed, or the caller gave up. */
export const gaveUp = (asked: Subject, wasSent: boolean, cause: unknown): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'ETIMEDOUT',
    message: wasSent
      ? `xenstored has not answered ${named(asked)} in time, and may still carry it out`
      : `${named(asked)} was not sent to xenstored in time`,
    advice: 'See whether xenstored runs and answers others (xenstore-ls)',
    cause,
    mayHaveHappened: wasSent,
  });

/** Too much is waiting already. Nothing was sent. */
export const tooMany = (message: string): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'EBUSY',
    message,
    advice: 'xenstored is slow, or this program asks too much of it',
  });

/** There is no connection any more. `why` is null when this program closed it. */
export const connectionGone = (asked: Subject, wasSent: boolean, why: XenstoreError | null): XenstoreError =>
  new XenstoreError({
    xenstoreCode: 'EUNAVAILABLE',
    message:
      why === null
        ? `${named(asked)} has no answer: the connection to xenstored was closed by this program`
        : `${named(asked)} has no answer: the connection to xenstored is lost (${why.message})`,
    ...(why === null ? {} : { cause: why }),
    mayHaveHappened: wasSent,
  });
