/** One line for a whole round, for logs and terminals without a screen. */
import { nearestMib } from '../../control/describe.js';
import type { GuestPhase } from '../../runtime/read-model.js';

/** As much of a guest as people are shown; page counts, null = not known. The read model's rows and the API's both are it. */
export interface ShownGuest {
  readonly id: string;
  readonly name: string;
  readonly isSimulated: boolean;
  readonly isDriven: boolean;
  readonly phase: GuestPhase;
  readonly currentPages: number | null;
  readonly maximumPages: number | null;
  readonly goalPages: number | null;
  readonly targetPages: number | null;
  readonly why: string;
}

/** As much of a host's own memory as people are shown. */
export interface ShownHost {
  readonly totalPages: number | null;
  readonly freePages: number | null;
}

/** As much of a status as people are shown. */
export interface Shown {
  readonly isDryRun: boolean;
  readonly sources: readonly string[];
  readonly hosts: readonly ShownHost[];
  readonly guests: readonly ShownGuest[];
}

export const mibText = (count: number | null): string => (count === null ? '?' : String(nearestMib(count)));

/** What each is called among all of them, in their order: by its id where another has its name. */
export function calledAmong(guests: readonly Pick<ShownGuest, 'id' | 'name'>[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { name } of guests) counts.set(name, (counts.get(name) ?? 0) + 1);
  return guests.map(({ id, name }) => (counts.get(name) === 1 ? name : id));
}

/** Null when one of them is not known: a sum with a hole in it is no sum. */
export function sum(guests: readonly ShownGuest[], of: (guest: ShownGuest) => number | null): number | null {
  let total = 0;
  for (const guest of guests) {
    const value = of(guest);
    if (value === null) return null;
    total += value;
  }
  return total;
}

/** What all driven guests hold, of how much, and what they are doing; then the observed ones. */
export function summarise({ guests, isDryRun }: Shown): string {
  const driven = guests.filter(isShownTogether);
  const called = calledAmong(guests);
  const observed = guests.flatMap((guest, n) =>
    isShownTogether(guest) ? [] : [summariseObserved(guest, called[n] ?? guest.id)],
  );
  const parts = driven.length === 0 ? [] : [summariseTogether(driven)];
  return `${isDryRun ? 'dry run: ' : ''}${[...parts, ...observed].join('; ')}`;
}

/** In a dry run nobody is driven; the simulated guests still belong together. */
export const isShownTogether = (guest: ShownGuest): boolean => guest.isDriven || guest.isSimulated;

function summariseTogether(guests: readonly ShownGuest[]): string {
  const kind = guests.every(({ isSimulated }) => isSimulated) ? 'simulated guest' : 'guest';
  const subject = guests.length === 1 ? `1 ${kind} holds` : `${guests.length} ${kind}s hold`;
  const held = mibText(sum(guests, ({ currentPages }) => currentPages));
  const most = mibText(sum(guests, ({ maximumPages }) => maximumPages));
  return `${subject} ${held} of ${most} MiB: ${countPhases(guests)}`;
}

function countPhases(guests: readonly ShownGuest[]): string {
  const counts = new Map<GuestPhase, number>();
  for (const { phase } of guests) counts.set(phase, (counts.get(phase) ?? 0) + 1);
  return [...counts].map(([phase, count]) => `${count} ${phase}`).join(', ');
}

function summariseObserved(guest: ShownGuest, called: string): string {
  const would = guest.targetPages === null ? guest.why : `would be set to ${mibText(guest.targetPages)} MiB`;
  return `${called} (observed only) has ${mibText(guest.currentPages)} MiB, ${would}`;
}
