/** A JVM: promises itself a large heap at start, and uses less than half of it. The law sees the promise. */
import { LATER, type WorkloadFactory } from '../workload.js';
import { fillDemand } from './fill.js';

const HOURS_6 = 6 * 3_600;

export const jvm: WorkloadFactory = (maximumPages, random) => {
  const period = random.between(0.8, 1.2) * HOURS_6;
  return {
    life: 'JVM',
    tasks: 4,
    demandAt(atSeconds, demand) {
      const load = (1 + Math.sin((2 * Math.PI * atSeconds) / period)) / 2;
      fillDemand(demand, maximumPages, {
        committed: 0.65,
        hot: 0.18 + 0.06 * load,
        cold: 0.08,
        fileHot: 0.03,
        rereads: 50,
        writes: 10,
      });
      return LATER;
    },
    restart() {
      // It comes back with the same heap.
    },
  };
};
