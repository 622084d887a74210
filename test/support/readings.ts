/** Readings for tests: a sound 512 MiB guest, but for what the test says. */
import { NOTHING_KNOWN, type Reading } from '../../src/control/reading.js';
import { knownAt, type Signal } from '../../src/control/signal.js';
import { millis, pages, type Millis, type Pages } from '../../src/units.js';

const DEFAULTS = {
  total: 131_072,
  free: 40_000,
  available: 60_000,
  committed: 50_000,
  reserve: 2_000,
  maxPfn: 262_144,
  current: 134_072,
  maximum: 262_144,
  overflowUsed: 0,
};

export function readingOf(given: Partial<typeof DEFAULTS> & { readonly at?: Millis }): Reading {
  const at = given.at ?? millis(0);
  const signal = (name: keyof typeof DEFAULTS): Signal<Pages> => knownAt(pages(given[name] ?? DEFAULTS[name]), at);
  return {
    ...NOTHING_KNOWN,
    at,
    total: signal('total'),
    free: signal('free'),
    available: signal('available'),
    committed: signal('committed'),
    reserve: signal('reserve'),
    maxPfn: signal('maxPfn'),
    current: signal('current'),
    maximum: signal('maximum'),
    overflowUsed: signal('overflowUsed'),
  };
}
