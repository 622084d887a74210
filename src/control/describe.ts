/** Makes the sentence of a reason. The numbers come out in MiB, for people; programs read the reason itself. */
import { mib, mibToPages } from '../units.js';
import type { Reason } from './reason.js';

const PAGES_PER_MIB = mibToPages(mib(1));

/** For people only: pages as MiB, to the nearest one. */
export const nearestMib = (pageCount: number): number => Math.round(pageCount / PAGES_PER_MIB);

const mibText = (reason: Reason, name: string): string => {
  const value = reason.numbers[name];
  return value === undefined ? '?' : `${nearestMib(value)} MiB`;
};

const partsOfGoal = (reason: Reason): string => {
  const forCache = reason.numbers['cache'] === undefined ? [] : [`${mibText(reason, 'cache')} for its page cache`];
  if (reason.numbers['used'] !== undefined)
    return [`${mibText(reason, 'used')} used, and a third more`, ...forCache].join(' + ');
  const parts = [`${mibText(reason, 'committed')} committed`, `${mibText(reason, 'reserve')} kernel reserve`];
  if (reason.numbers['reserved']) parts.push(`${mibText(reason, 'reserved')} room`);
  if (reason.numbers['overflow']) parts.push(`${mibText(reason, 'overflow')} to bring home`);
  return [...parts, ...forCache].join(' + ');
};

const NOTHING_SAID = 'what it needs is not known';

/** Whether no rule wished for anything: only the limits did. */
const isUnasked = ({ numbers }: Reason): boolean => numbers['committed'] === undefined && numbers['used'] === undefined;

/** The reason as one sentence without a full stop. */
export function describeReason(reason: Reason): string {
  switch (reason.code) {
    case 'above-goal':
      return `needs ${mibText(reason, 'goal')} (${partsOfGoal(reason)}): gives up a part of the rest`;
    case 'below-goal':
      return `needs ${mibText(reason, 'goal')} (${partsOfGoal(reason)}): takes it back`;
    case 'at-goal':
      return `has what it needs (${partsOfGoal(reason)})`;
    case 'at-floor':
      return `needs less than its floor of ${mibText(reason, 'floor')}: stays there`;
    case 'clamped-to-ceiling':
      if (isUnasked(reason)) return `goes down to the most that its administrator allows (${NOTHING_SAID})`;
      return `needs ${mibText(reason, 'goal')} (${partsOfGoal(reason)}), more than it may have`;
    case 'clamped-to-floor':
      if (isUnasked(reason)) return `goes up to the least that its administrator allows (${NOTHING_SAID})`;
      return `needs ${mibText(reason, 'goal')} (${partsOfGoal(reason)}), less than its administrator's floor`;
    case 'clamped-to-host':
      return `is to have ${mibText(reason, 'wanted')}, more than its host has free now`;
    case 'left-out':
      return 'did not take the memory it was given: is left out for a while';
    case 'no-report':
      return 'holds, because nobody in it says what it needs';
    case 'no-swap':
      return `needs ${mibText(reason, 'goal')}, and has no swap to catch what a smaller guest must swap: keeps what it has`;
    case 'cache-in-use':
      return `needs ${mibText(reason, 'goal')} (${partsOfGoal(reason)}): what it had lost of its page cache was read back (${reason.numbers['refaults'] ?? '?'} pages a minute now)`;
    case 'cache-unwatched':
      return `may live from its page cache, which nobody can tell (${reason.detail ?? 'why was not said'}): keeps all that it has filled, ${mibText(reason, 'target')} with some room`;
    case 'keeps-memory':
      return 'keeps its boot memory: what it gave up would be of no use to its host (huge pages, locked or pinned memory)';
    case 'signal-unknown':
      return `holds, because a signal is not known (${reason.detail ?? 'which one was not said'})`;
    case 'implausible':
      return `holds, because what it says cannot be true (${reason.detail ?? 'what was not said'})`;
    case 'under-pressure':
      return `was under pressure not long ago: has everything back, up to ${mibText(reason, 'ceiling')}`;
    case 'switched-off':
      return 'self-ballooning is switched off';
    case 'released':
      return 'everything was given back';
  }
}
