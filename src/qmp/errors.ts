/**
 * What can go wrong between us and a QEMU, in words and with what to do. A `QmpError` has two codes: `code` is one of the program's
 * own, for those who know nothing of QMP; `qmpCode` says what kind of failure it is. Where QEMU itself refused, `class` is its own word.
 */
import { errorText, quoted, SelfballoonError, type ErrorCode } from '../errors.js';

/** `QapiErrorClass` of QEMU 7.2: what QEMU may call an error. Nearly all are the first. */
export const QMP_CLASSES = [
  'GenericError',
  'CommandNotFound',
  'DeviceNotActive',
  'DeviceNotFound',
  'KVMMissingCap',
] as const;

export type QmpClass = (typeof QMP_CLASSES)[number];

/**
 * - `EREFUSED`: QEMU answered with an error; `class` says which
 * - `EUNAVAILABLE`: no connection, or it was lost or closed while an answer was awaited
 * - `EACCES`: this user may not connect
 * - `ETIMEDOUT`: no answer within the time limit, or the caller gave up
 * - `EPROTO`: the other side does not keep to the protocol, or speaks another one
 * - `EBUSY`: too much is waiting already; it was not sent
 * - `EINVAL`: it cannot be said in QMP; it was not sent
 */
export type QmpCode = 'EREFUSED' | 'EUNAVAILABLE' | 'EACCES' | 'ETIMEDOUT' | 'EPROTO' | 'EBUSY' | 'EINVAL';

export interface QmpErrorDetails {
  readonly qmpCode: QmpCode;
  /** Default null. */
  readonly class?: QmpClass | 'unknown' | null;
  readonly message: string;
  readonly advice?: string;
  readonly cause?: unknown;
  /** Default false. */
  readonly mayHaveHappened?: boolean;
}

/** QEMU refused, failed, did not answer or was not understood. Match `qmpCode` and `class`, or `code` for the program's own word. */
export class QmpError extends SelfballoonError {
  override readonly name = 'QmpError';
  readonly qmpCode: QmpCode;
  /** How QEMU calls it, `unknown` for a word that is not in `QMP_CLASSES`; null where it was not QEMU that refused. */
  readonly class: QmpClass | 'unknown' | null;
  /** Whether QEMU may have done, or may yet do, what it was asked: the command was sent and has no answer. */
  readonly mayHaveHappened: boolean;

  constructor(details: QmpErrorDetails) {
    const qemuClass = details.class ?? null;
    super({ ...details, code: qemuClass === null ? OWN_CODES[details.qmpCode] : CLASS_CODES[qemuClass] });
    this.qmpCode = details.qmpCode;
    this.class = qemuClass;
    this.mayHaveHappened = details.mayHaveHappened ?? false;
  }
}

const OWN_CODES: Readonly<Record<QmpCode, ErrorCode>> = {
  EREFUSED: 'EIO',
  EUNAVAILABLE: 'EUNAVAILABLE',
  EACCES: 'EPERM',
  ETIMEDOUT: 'ETIMEDOUT',
  EPROTO: 'EIO',
  EBUSY: 'EIO',
  EINVAL: 'EINVAL',
};

const CLASS_CODES: Readonly<Record<QmpClass | 'unknown', ErrorCode>> = {
  GenericError: 'EIO',
  CommandNotFound: 'ENODEV',
  DeviceNotActive: 'ENODEV',
  DeviceNotFound: 'ENOENT',
  KVMMissingCap: 'ENODEV',
  unknown: 'EIO',
};

const CLASS_ADVICE: Readonly<Partial<Record<QmpClass, string>>> = {
  CommandNotFound: 'This QEMU is too old for the command, or was built without it',
  DeviceNotActive: 'The virtual machine lacks the device; for a balloon give QEMU -device virtio-balloon-pci',
  DeviceNotFound: 'The device may have been unplugged, or has another id',
  KVMMissingCap: "The kernel's KVM on this host cannot do it",
};

/** What was asked of which QEMU, for messages. `at`: the path of its socket. */
export interface Subject {
  readonly command: string;
  readonly at: string;
}

const isClass = (word: string): word is QmpClass => QMP_CLASSES.some((known) => known === word);

/** QEMU answered with an error. `word` and `description` are as they came. */
export function refused({ command, at }: Subject, word: string, description: string): QmpError {
  const known = isClass(word) ? word : 'unknown';
  const said = isClass(word) ? word : `the unknown error ${quoted(word)}`;
  const advice = isClass(word) ? CLASS_ADVICE[word] : undefined;
  return new QmpError({
    qmpCode: 'EREFUSED',
    class: known,
    message: `QEMU on ${at} refused ${command}: ${said}, ${quoted(description)}`,
    ...(advice === undefined ? {} : { advice }),
  });
}

/** The other side does not speak the protocol, or not correctly. */
export const brokenProtocol = (seen: string): QmpError =>
  new QmpError({
    qmpCode: 'EPROTO',
    message: seen,
    advice: "Check that the socket is QEMU's own QMP monitor (-qmp, or -mon with mode=control and without pretty=on)",
  });

/** Something was asked for that cannot be sent. */
export const invalid = (message: string, cause?: unknown): QmpError =>
  new QmpError({
    qmpCode: 'EINVAL',
    message,
    advice: 'This is a fault of the program; please report it',
    ...(cause === undefined ? {} : { cause }),
  });

/** The time limit passed, or the caller gave up. */
export const gaveUp = ({ command, at }: Subject, wasSent: boolean, cause: unknown): QmpError =>
  new QmpError({
    qmpCode: 'ETIMEDOUT',
    message: wasSent
      ? `QEMU on ${at} has not answered ${command} in time, and may still carry it out`
      : `${command} was not sent to QEMU on ${at} in time`,
    advice: 'See whether its process is stopped, or the host is short of memory or CPU',
    cause,
    mayHaveHappened: wasSent,
  });

/** There is somebody at the other end, and no greeting came. */
export const noGreeting = (at: string, cause: unknown): QmpError =>
  new QmpError({
    qmpCode: 'ETIMEDOUT',
    message: `QEMU on ${at} did not greet in time`,
    advice:
      'A QMP socket serves one client at a time: give QEMU one for this program alone, or see whether its process is stopped',
    cause,
  });

/** Too many commands wait already. Nothing was sent. */
export const tooMany = ({ command, at }: Subject, waiting: number): QmpError =>
  new QmpError({
    qmpCode: 'EBUSY',
    message: `${command} was not sent to QEMU on ${at}: ${waiting} commands wait already`,
    advice: 'This QEMU is slow or stopped, or this program asks too much of it',
  });

/** QEMU does not read what was sent before. Nothing was sent. */
export const notTaken = ({ command, at }: Subject): QmpError =>
  new QmpError({
    qmpCode: 'EBUSY',
    message: `${command} was not sent to QEMU on ${at}, which does not read what was sent before`,
    advice: 'See whether its process is stopped',
  });

/** There is no connection any more. `why` is null when this program closed it. */
export const connectionGone = ({ command, at }: Subject, wasSent: boolean, why: QmpError | null): QmpError =>
  new QmpError({
    qmpCode: 'EUNAVAILABLE',
    message:
      why === null
        ? `${command} has no answer: the connection to QEMU on ${at} was closed by this program`
        : `${command} has no answer: the connection to QEMU on ${at} is lost (${errorText(why)})`,
    ...(why === null ? {} : { cause: why }),
    mayHaveHappened: wasSent,
  });
