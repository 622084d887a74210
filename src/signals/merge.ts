/**
 * Several sources' signals of one guest → one set of signals. Each signal comes whole from one source, with the time at which it was
 * true there. It does not know what the sources are, only which of them is to be believed before which.
 */
import { NOTHING_KNOWN, type Signals } from '../control/reading.js';
import type { Signal, UnknownReason } from '../control/signal.js';
import { millis } from '../units.js';

/**
 * A source of a lower rank is believed before one of a higher rank only where it is newer by more than this. One look's default
 * interval: whoever missed one look is still believed, and whoever fell silent gives way.
 */
export const RANK_WORTH = millis(5_000);

/** How much a reason says about what is wrong: whoever said nonsense is told of before whoever said nothing. */
const TELLING: Readonly<Record<UnknownReason, number>> = {
  implausible: 4,
  malformed: 3,
  unreadable: 2,
  stale: 1,
  'not-reported': 0,
};

/**
 * One set of signals from those of all sources, best source first. Known before unknown; of those known the best source's, unless
 * another's is newer by more than `RANK_WORTH`; where none is known, the most telling reason. What no source has is `not-reported`.
 */
export function mergeSignals(sources: readonly Partial<Signals>[]): Signals {
  const [only] = sources;
  if (only !== undefined && sources.length === 1) return filled(only);
  const pick = <Name extends keyof Signals>(name: Name): Signals[Name] => {
    let best: Signals[Name] | undefined;
    for (const source of sources) {
      const signal = source[name];
      if (signal !== undefined && (best === undefined || isBetter(signal, best))) best = signal;
    }
    return best ?? NOTHING_KNOWN[name];
  };
  return {
    current: pick('current'),
    asked: pick('asked'),
    maximum: pick('maximum'),
    total: pick('total'),
    free: pick('free'),
    available: pick('available'),
    cached: pick('cached'),
    committed: pick('committed'),
    reserve: pick('reserve'),
    maxPfn: pick('maxPfn'),
    used: pick('used'),
    swapTotal: pick('swapTotal'),
    swapUsed: pick('swapUsed'),
    overflowUsed: pick('overflowUsed'),
    refaults: pick('refaults'),
    majorFaults: pick('majorFaults'),
    oomKills: pick('oomKills'),
    pressure: pick('pressure'),
  };
}

/** What one source alone says. Most guests have one, so this is written out, without looking signals up by name. */
const filled = (source: Partial<Signals>): Signals => ({
  current: source.current ?? NOTHING_KNOWN.current,
  asked: source.asked ?? NOTHING_KNOWN.asked,
  maximum: source.maximum ?? NOTHING_KNOWN.maximum,
  total: source.total ?? NOTHING_KNOWN.total,
  free: source.free ?? NOTHING_KNOWN.free,
  available: source.available ?? NOTHING_KNOWN.available,
  cached: source.cached ?? NOTHING_KNOWN.cached,
  committed: source.committed ?? NOTHING_KNOWN.committed,
  reserve: source.reserve ?? NOTHING_KNOWN.reserve,
  maxPfn: source.maxPfn ?? NOTHING_KNOWN.maxPfn,
  used: source.used ?? NOTHING_KNOWN.used,
  swapTotal: source.swapTotal ?? NOTHING_KNOWN.swapTotal,
  swapUsed: source.swapUsed ?? NOTHING_KNOWN.swapUsed,
  overflowUsed: source.overflowUsed ?? NOTHING_KNOWN.overflowUsed,
  refaults: source.refaults ?? NOTHING_KNOWN.refaults,
  majorFaults: source.majorFaults ?? NOTHING_KNOWN.majorFaults,
  oomKills: source.oomKills ?? NOTHING_KNOWN.oomKills,
  pressure: source.pressure ?? NOTHING_KNOWN.pressure,
});

/** Whether `signal` is to be believed before `best`, which comes from a better source. */
function isBetter(signal: Signal<unknown>, best: Signal<unknown>): boolean {
  if (signal.known && best.known) return signal.at - best.at > RANK_WORTH;
  if (signal.known || best.known) return signal.known;
  return TELLING[signal.reason] > TELLING[best.reason];
}
