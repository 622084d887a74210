/** A guest that lives from its page cache: next to no memory of its own, and three tenths of its maximum read over and over. */
import { LATER, type WorkloadFactory } from '../workload.js';
import { fillDemand } from './fill.js';

/** Pages read a second, spread over all of them: 4 MiB/s, so that a cache of 300 MiB is read through in 77 s. */
const REREADS = 1_000;

export const fileReader: WorkloadFactory = (maximumPages) => ({
  life: 'reads its files again',
  tasks: 2,
  demandAt(_atSeconds, demand) {
    fillDemand(demand, maximumPages, {
      committed: 0.09,
      hot: 0.04,
      cold: 0.02,
      fileHot: 0.3,
      rereads: REREADS,
      writes: 2,
    });
    return LATER;
  },
  restart() {
    // It is started again, and its files are the same.
  },
});
