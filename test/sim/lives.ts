/** A guest whose demand a test sets by hand, alone on its host unless the test adds others. */
import { noDemand, SimHost, type Demand, type SimGuest, type SimGuestOptions } from '../../src/sim/index.js';
import { mib, mibToPages } from '../../src/units.js';
import { at } from './rounds.js';

export const inPages = (sizeMib: number): ReturnType<typeof mibToPages> => mibToPages(mib(sizeMib));

export interface Puppet {
  readonly host: SimHost;
  readonly guest: SimGuest;
  /** What its processes want; change it at will. */
  readonly demand: Demand;
  /** Seconds pass, and every page of the host is accounted for after each. */
  readonly live: (seconds: number) => void;
  /** How often its processes were started again. */
  readonly restarts: () => number;
}

export interface PuppetOptions extends Partial<Omit<SimGuestOptions, 'workload'>> {
  readonly hostMib?: number;
}

/** 1 GiB, all of it given at boot, on a host of 4 GiB; 1 GiB of swap and tmem, unless `options` say otherwise. */
export function puppet(options: PuppetOptions = {}): Puppet {
  const wanted = noDemand();
  let restarts = 0;
  const host = new SimHost({
    seed: 1,
    totalPages: inPages(options.hostMib ?? 4_096),
    afterTick: (after) => {
      after.assertBalanced();
    },
  });
  const guest = host.addGuest({
    name: 'puppet',
    bootPages: inPages(1_024),
    maximumPages: inPages(1_024),
    ...options,
    workload: () => ({
      life: 'puppet',
      tasks: 2,
      demandAt: (_seconds, demand) => {
        Object.assign(demand, wanted);
        return 1;
      },
      restart: () => void (restarts += 1),
    }),
  });
  return {
    host,
    guest,
    demand: wanted,
    live(seconds) {
      host.advanceTo(at(Math.floor(host.now / 1_000) + seconds));
    },
    restarts: () => restarts,
  };
}
