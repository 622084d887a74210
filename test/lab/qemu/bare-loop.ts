/** The daemon's loop over a host's monitors with specification 1 alone, without the guard of the page cache: what that is compared with. */
import { createStep, initialState } from '../../../src/control/step.js';
import { DEFAULT_TUNABLES, type Tunables } from '../../../src/control/tunables.js';
import { openQmpHost } from '../../../src/hypervisors/qmp/client.js';
import { findSockets } from '../../../src/hypervisors/qmp/socket-patterns.js';
import { bareHostPolicy } from '../../../src/policies/index.js';
import type { SelfshrinkMemory } from '../../../src/policies/index.js';
import { connectQmp } from '../../../src/qmp/index.js';
import { Loop } from '../../../src/runtime/loop.js';
import { RealClock } from '../../../src/runtime/real-clock.js';
import { mib, mibToPages, millis } from '../../../src/units.js';

export interface BareLoop {
  /** Gives everything back and ends. */
  readonly close: () => Promise<void>;
}

/** Drives the guests behind these monitors from this process. */
export function startBareLoop(monitors: readonly string[], tunables: Partial<Tunables>): BareLoop {
  const clock = new RealClock();
  const host = openQmpHost({
    clock,
    wall: () => millis(Date.now()),
    findSockets: () => findSockets(monitors),
    connect: (path, events, signal) => connectQmp(path, { clock, events }, signal),
    root: '/',
    reserve: mibToPages(mib(64)),
    inside: { asksAgent: true, hearsOwn: false },
    tell: () => undefined,
  });
  const loop = new Loop<SelfshrinkMemory>({
    step: createStep(bareHostPolicy),
    policyName: bareHostPolicy.name,
    state: initialState<SelfshrinkMemory>({
      tunables: { ...DEFAULT_TUNABLES, frontswap_selfshrinking: 0, ...tunables },
      isDryRun: false,
      hasFrontswap: false,
      limits: {},
    }),
    clock,
    hypervisors: [host],
    journal: null,
    tell: () => undefined,
  });
  const ending = new AbortController();
  const running = loop.run(ending.signal);
  return {
    close: async () => {
      ending.abort();
      await running;
      await loop.giveBack();
      await host.close();
    },
  };
}
