/** A service that forgets to free memory, and is restarted every few hours; or sooner, by the kernel. */
import { LATER, type WorkloadFactory } from '../workload.js';
import { fillDemand } from './fill.js';
import { ramp } from './spells.js';

/** How long it takes to leak all it can, in seconds. */
const LEAK_SECONDS = [3 * 3_600, 5 * 3_600] as const;

export const slowLeak: WorkloadFactory = (maximumPages, random) => {
  let startedAt = 0;
  let lasts = random.between(...LEAK_SECONDS);
  const start = (atSeconds: number): void => {
    startedAt = atSeconds;
    lasts = random.between(...LEAK_SECONDS);
  };
  return {
    life: 'slow leak',
    tasks: 2,
    demandAt(atSeconds, demand) {
      while (atSeconds >= startedAt + lasts) start(startedAt + lasts);
      const leaked = 0.6 * ramp(atSeconds, startedAt, lasts);
      fillDemand(demand, maximumPages, {
        committed: 1.1 * (0.12 + leaked),
        hot: 0.08,
        cold: 0.04 + leaked,
        fileHot: 0.04,
        rereads: 100,
        writes: 10,
      });
      return LATER;
    },
    restart: start,
  };
};
