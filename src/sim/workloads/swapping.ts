/**
 * A guest that needs more than it can have for a few minutes, and then is quiet for half an hour: what it had to push out then
 * is not asked for again, and rests in frontswap until someone brings it home. Shortly before the next large job its
 * services are started afresh.
 */
import { LATER, SOON, type WorkloadFactory } from '../workload.js';
import { fillDemand } from './fill.js';
import { ramp, Spells } from './spells.js';

const RAMP_SECONDS = 60;
/** Memory of services that nobody calls. */
const RESTING = 0.35;
/** The services are down from this many seconds before the end of a quiet spell until that many before. */
const DOWN = { from: 90, until: 60 };

export const swapping: WorkloadFactory = (maximumPages, random) => {
  const spells = new Spells({ first: [600, 900], quiet: [1_500, 3_000], busy: [240, 480] }, random);
  return {
    life: 'swaps now and then',
    tasks: 2,
    demandAt(atSeconds, demand) {
      const spell = spells.at(atSeconds);
      const work = spell.isBusy ? ramp(atSeconds, spell.startedAt, RAMP_SECONDS) : 0;
      const left = spell.endsAt - atSeconds;
      const resting = !spell.isBusy && left <= DOWN.from && left > DOWN.until ? 0 : RESTING;
      const hot = 0.1 + 0.72 * work;
      fillDemand(demand, maximumPages, {
        committed: 1.05 * (hot + resting),
        hot,
        cold: resting,
        fileHot: 0.02,
        rereads: 20,
        writes: 5,
      });
      return spell.isBusy || left < LATER ? SOON : LATER;
    },
    restart() {
      // The large job is tried again while its spell lasts.
    },
  };
};
