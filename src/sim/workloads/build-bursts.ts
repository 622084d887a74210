/** A build machine: quiet, then compilers that take most of the guest within half a minute, then quiet again. */
import type { RandomStream } from '../random.js';
import { LATER, SOON, type WorkloadFactory } from '../workload.js';
import { fillDemand } from './fill.js';
import { ramp, Spells } from './spells.js';

/** Compilers start one after the other. A 12-core build was seen to take 0.7 GiB/s at its 99th percentile; this is gentler. */
const RAMP_SECONDS = 30;

export const buildBursts: WorkloadFactory = (maximumPages, random) => {
  const spells = new Spells({ first: [60, 180], quiet: [300, 1_500], busy: [180, 600] }, random);
  const jitter = waves(random);
  return {
    life: 'builds in bursts',
    tasks: 8,
    demandAt(atSeconds, demand) {
      const spell = spells.at(atSeconds);
      const work = spell.isBusy ? ramp(atSeconds, spell.startedAt, RAMP_SECONDS) * (0.6 + 0.4 * spell.strength) : 0;
      const hot = 0.02 + 0.38 * work * jitter(atSeconds);
      fillDemand(demand, maximumPages, {
        committed: 1.25 * (hot + 0.03),
        hot,
        cold: 0.03,
        fileHot: 0.04 + 0.08 * work,
        rereads: 50 + 2_000 * work,
        reads: 500 * work,
        writes: 1_500 * work,
      });
      // A quiet machine is looked at when the next burst begins, and not later.
      return spell.isBusy || spell.endsAt - atSeconds < LATER ? SOON : LATER;
    },
    restart() {
      // The build system starts the compiler that was killed once more.
    },
  };
};

/** Between 0.85 and 1, in two waves that do not fit each other. */
function waves(random: RandomStream): (atSeconds: number) => number {
  const fast = random.between(15, 25);
  const slow = random.between(70, 110);
  return (at) => 0.925 + 0.045 * Math.sin((2 * Math.PI * at) / fast) + 0.03 * Math.sin((2 * Math.PI * at) / slow);
}
