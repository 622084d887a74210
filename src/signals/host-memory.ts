/** What the host has, by its own kernel, for guests that are processes on it. It does not know what a guest is. */
import type { HostReading, PoolId } from '../control/pool.js';
import { mapField, stamp } from '../control/signal.js';
import { subtractToZero, type Millis, type Pages } from '../units.js';
import { openMemoryGlancer } from './memory-glance.js';

export interface HostMemoryOptions {
  /** The folder that has the host's `proc` in it: `/`, unless someone tests. */
  readonly root: string;
  readonly pool: PoolId;
  /** What must stay free on the host. */
  readonly reserve: Pages;
  readonly now: () => Millis;
}

export interface HostMemory {
  /** `untouched`: what guests hold of it and its kernel still counts as free. Never throws; what cannot be read is unknown. */
  read(untouched: Pages): HostReading;
  /** Gives the descriptor back. A read after that knows nothing. */
  close(): void;
}

export function openHostMemory({ root, pool, reserve, now }: HostMemoryOptions): HostMemory {
  const glancer = openMemoryGlancer(root);
  return {
    read(untouched) {
      const at = now();
      const seen = glancer.read();
      const total = mapField(seen, (glance) => glance.total);
      // What the host's kernel could hand out without swapping: page cache is not lost to guests.
      const free = mapField(seen, ({ available }) => subtractToZero(available, untouched));
      return { pool, at, total: stamp(total, at), free: stamp(free, at), reserve };
    },
    close() {
      glancer.close();
    },
  };
}
