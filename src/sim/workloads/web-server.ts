/** A web server: little memory of its own, and files that are read over and over, more of them by day. */
import { LATER, type WorkloadFactory } from '../workload.js';
import { daylight } from './day.js';
import { fillDemand } from './fill.js';

export const webServer: WorkloadFactory = (maximumPages, random) => {
  const taste = random.between(0.9, 1.1);
  return {
    life: 'web server',
    tasks: 4,
    demandAt(atSeconds, demand) {
      const busy = daylight(atSeconds) * taste;
      const hot = 0.08 + 0.1 * busy;
      fillDemand(demand, maximumPages, {
        committed: 1.4 * (hot + 0.06),
        hot,
        cold: 0.06,
        fileHot: 0.12 + 0.2 * busy,
        rereads: 150 + 900 * busy,
        writes: 5 + 20 * busy,
      });
      return LATER;
    },
    restart() {
      // Its workers are started again by their master, and the traffic does not change.
    },
  };
};
