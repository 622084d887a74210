/** Turns a demand given as shares of the guest's maximum into whole pages. */
import type { Demand } from '../workload.js';

/** Memory as shares of the guest's maximum, file traffic in pages a second. */
export interface Shares {
  readonly committed: number;
  readonly hot: number;
  readonly cold: number;
  readonly fileHot?: number;
  readonly rereads?: number;
  readonly reads?: number;
  readonly writes?: number;
}

/** Fills in `demand` for a guest of `maximumPages`. What is not given is 0. */
export function fillDemand(demand: Demand, maximumPages: number, shares: Shares): void {
  demand.committedPages = Math.round(maximumPages * shares.committed);
  demand.hotPages = Math.round(maximumPages * shares.hot);
  demand.coldPages = Math.round(maximumPages * shares.cold);
  demand.fileHotPages = Math.round(maximumPages * (shares.fileHot ?? 0));
  demand.rereadsPerSecond = shares.rereads ?? 0;
  demand.readsPerSecond = shares.reads ?? 0;
  demand.writesPerSecond = shares.writes ?? 0;
}
