/** The lines of the log about guests that fail, or fail no more: one for all that are alike. It does not know when they are said. */
import type { FailedPart, Tell, TellCode } from '../../control/actions.js';
import type { GuestId } from '../../control/reading.js';
import type { ErrorCode } from '../../errors.js';

/** A line of the log about a guest or about several. */
export type GuestLine = Pick<Tell, 'level' | 'guest' | 'text'> & { readonly code: TellCode | 'works-again' };

/** The others are counted: a line must stay readable. */
const NAMES_MAX = 5;

const FAILED: Readonly<Record<FailedPart, string>> = {
  look: 'could not be read',
  target: 'could not be asked for another size',
  growth: 'could not be asked to plug memory in or out',
  shrinking: 'could not have their overflow tier shrunk',
};

const WORKS: Readonly<Record<FailedPart, string>> = {
  look: 'can be read again',
  target: 'can be asked for another size again',
  growth: 'can be asked to plug memory in or out again',
  shrinking: 'had the overflow tier shrunk again',
};

/**
 * Guests that began to fail with the same code, as the core told of each. One guest's words stand as they are; of several the
 * first one's stand for all.
 */
export function describeFailures(part: FailedPart, code: ErrorCode, tells: readonly Tell[]): readonly GuestLine[] {
  const [first, ...rest] = tells;
  if (first === undefined || rest.length === 0) return tells;
  const guests = tells.flatMap(({ guest }) => (guest === null ? [] : [guest]));
  const text = `${tells.length} guests ${FAILED[part]} (${code}): ${namesOf(guests)}. The first: ${first.text}`;
  return [{ level: first.level, code: first.code, guest: null, text }];
}

/** Guests that fail no more, with how often each of them did. */
export function describeRecoveries(
  part: FailedPart,
  ended: readonly { readonly guest: GuestId; readonly count: number }[],
): readonly GuestLine[] {
  const [one, ...others] = ended;
  if (one === undefined) return [];
  const total = ended.reduce((sum, { count }) => sum + count, 0);
  // The core tells of looks only when they begin to fail, so these cannot be counted.
  const after = part === 'look' ? '' : `, after ${total} ${total === 1 ? 'failure' : 'failures'}`;
  const line = { level: 'info', code: 'works-again' } as const;
  if (others.length === 0) return [{ ...line, guest: one.guest, text: `${WORKS[part]}${after}` }];
  const names = namesOf(ended.map(({ guest }) => guest));
  return [{ ...line, guest: null, text: `${ended.length} guests ${WORKS[part]}${after}: ${names}` }];
}

function namesOf(guests: readonly GuestId[]): string {
  const rest = guests.length - NAMES_MAX;
  return rest > 0 ? `${guests.slice(0, NAMES_MAX).join(', ')} and ${rest} more` : guests.join(', ');
}
