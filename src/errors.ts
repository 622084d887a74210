/**
 * Errors with stable codes. Callers match `code`, never the text: the text is for a person at 3 a.m. and says what was
 * being done to which guest, what was seen, and what to do about it.
 */

/**
 * - `EPERM`, `EINVAL`, `ENODEV`, `ENOENT`, `ENOMEM`: as the specifications use them
 * - `ETIMEDOUT`: no answer within the time limit
 * - `EGONE`: the guest is no longer there
 * - `EIO`: reading or writing failed for a reason that the message gives
 * - `ECONFIG`: the configuration is not usable
 * - `EUNAVAILABLE`: no daemon, or no such part, to talk to, or none that can take it now
 */
export type ErrorCode =
  'EPERM' | 'EINVAL' | 'ENODEV' | 'ENOENT' | 'ENOMEM' | 'ETIMEDOUT' | 'EGONE' | 'EIO' | 'ECONFIG' | 'EUNAVAILABLE';

/** What an error is made of. */
export interface ErrorDetails {
  readonly code: ErrorCode;
  /** What was being done and what was seen. One sentence, no full stop needed. */
  readonly message: string;
  /** What to do about it. */
  readonly advice?: string;
  /** The guest it was done to, where there is one. */
  readonly guest?: string;
  readonly cause?: unknown;
}

/** Any failure that a user should hear of. `message` holds the advice too, so that printing it is enough. */
export class SelfballoonError extends Error {
  override readonly name: string = 'SelfballoonError';
  readonly code: ErrorCode;
  readonly advice: string | undefined;
  readonly guest: string | undefined;

  constructor(details: ErrorDetails) {
    const where = details.guest === undefined ? '' : `guest ${details.guest}: `;
    const advice = details.advice === undefined ? '' : `${/[.?!]$/.test(details.message) ? '' : '.'} ${details.advice}`;
    super(`${where}${details.message}${advice}`, details.cause === undefined ? {} : { cause: details.cause });
    this.code = details.code;
    this.advice = details.advice;
    this.guest = details.guest;
  }
}

/** A hypervisor (or a guest's kernel) refused, failed or did not answer. The only error that crosses an adapter's border. */
export class HypervisorError extends SelfballoonError {
  override readonly name = 'HypervisorError';
}

/** The error code of a Node.js system error (`ENOENT` …), or null when `error` is something else. */
export function systemErrorCode(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

/** The text of whatever was thrown, for a message. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Long enough for a sentence of an error, and short enough for a line of the log. */
const QUOTED_CHARACTERS_MAX = 200;
/**
 * What JSON leaves as it is, though a terminal may take it for the beginning of a command (DEL, C1), a reader for the end of a line, or
 * both turn what follows around.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Any text from outside, fit for a message: in quotes, with nothing in it that cannot be seen, and cut after `charactersMax`, 1 or more
 * and 200 by default.
 */
export function quoted(text: string, charactersMax = QUOTED_CHARACTERS_MAX): string {
  const isLong = text.length > charactersMax;
  const inQuotes = visible(JSON.stringify(isLong ? text.slice(0, charactersMax) : text));
  return isLong ? `${inQuotes}…` : inQuotes;
}

/** A line that may have words from outside in it, fit for a terminal: what cannot be seen is escaped, and so it stays one line. */
export const visible = (text: string): string => text.replace(UNSEEN, escaped);

/** Several such lines. */
export const visibleLines = (text: string): string => text.split('\n').map(visible).join('\n');

const escaped = (character: string): string =>
  character.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
