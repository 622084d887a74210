/** Idles all day; from 23:00 on it works through a pile of files for two hours. */
import { LATER, SOON, type WorkloadFactory } from '../workload.js';
import { hourOfDay } from './day.js';
import { fillDemand } from './fill.js';

const BEGINS_AT_HOUR = 23;
const HOURS = 2;
/** It loads what it needs within this part of an hour: three minutes. */
const LOADING_HOURS = 0.05;

export const nightlyBatch: WorkloadFactory = (maximumPages, random) => {
  const pile = random.between(0.9, 1.1);
  return {
    life: 'nightly batch',
    tasks: 4,
    demandAt(atSeconds, demand) {
      const since = (hourOfDay(atSeconds) - BEGINS_AT_HOUR + 24) % 24;
      const work = since < HOURS ? Math.min(1, since / LOADING_HOURS) * pile : 0;
      const hot = 0.02 + 0.55 * work;
      fillDemand(demand, maximumPages, {
        committed: 1.2 * (hot + 0.05),
        hot,
        cold: 0.04,
        fileHot: 0.02 + 0.05 * work,
        rereads: 20 + 500 * work,
        reads: 4_000 * work,
        writes: 800 * work,
      });
      return work > 0 && since < LOADING_HOURS ? SOON : LATER;
    },
    restart() {
      // The scheduler starts the batch once more.
    },
  };
};
