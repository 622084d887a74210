/** A guest in which nothing happens but a few background services. */
import { LATER, type WorkloadFactory } from '../workload.js';
import { fillDemand } from './fill.js';

export const idle: WorkloadFactory = (maximumPages) => ({
  life: 'idle',
  tasks: 1,
  demandAt(_atSeconds, demand) {
    fillDemand(demand, maximumPages, {
      committed: 0.07,
      hot: 0.02,
      cold: 0.025,
      fileHot: 0.01,
      rereads: 20,
      writes: 2,
    });
    return LATER;
  },
  restart() {
    // It has no state to lose.
  },
});
