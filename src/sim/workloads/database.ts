/** A database: buffers of its own, and tables that come into the page cache as the hours pass. */
import { LATER, type WorkloadFactory } from '../workload.js';
import { daylight } from './day.js';
import { fillDemand } from './fill.js';
import { ramp } from './spells.js';

/** Until all tables in use have been asked for once, in seconds. */
const WARM_UP_SECONDS = 3 * 3_600;

export const database: WorkloadFactory = (maximumPages, random) => {
  const taste = random.between(0.9, 1.1);
  let startedAt = 0;
  return {
    life: 'database',
    tasks: 4,
    demandAt(atSeconds, demand) {
      const warm = ramp(atSeconds, startedAt, WARM_UP_SECONDS);
      const busy = daylight(atSeconds) * taste;
      fillDemand(demand, maximumPages, {
        committed: 0.36,
        hot: 0.24,
        cold: 0.05,
        fileHot: 0.05 + 0.3 * warm,
        rereads: 200 + 600 * busy,
        reads: 20,
        writes: 50 + 150 * busy,
      });
      return LATER;
    },
    restart(atSeconds) {
      startedAt = atSeconds;
    },
  };
};
