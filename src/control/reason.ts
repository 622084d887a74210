/**
 * Why something was decided: a code with its numbers, from which the sentence is made. Logs, the table and the API show the
 * same reason; programs match the code.
 */

/** Every reason there is. Codes are API: they are listed in the reference and never change their meaning. */
export type ReasonCode =
  | 'above-goal'
  | 'below-goal'
  | 'at-goal'
  | 'at-floor'
  | 'signal-unknown'
  | 'implausible'
  | 'under-pressure'
  | 'switched-off'
  | 'clamped-to-ceiling'
  | 'clamped-to-floor'
  | 'clamped-to-host'
  | 'left-out'
  | 'no-report'
  | 'no-swap'
  | 'cache-in-use'
  | 'cache-unwatched'
  | 'keeps-memory'
  | 'released';

/** Why something was decided, for programs; `describeReason` makes the sentence. */
export interface Reason {
  readonly code: ReasonCode;
  /** Page counts and the like, by name. */
  readonly numbers: Readonly<Record<string, number>>;
  /** Words that belong to it: which signal, what was wrong with it. */
  readonly detail?: string;
}
