/** What the simulator itself costs, without the loop around it: a thousand guests, read and set every five seconds. */
import { createEmbeddedHypervisor } from '../src/hypervisors/embedded/embedded.js';
import { manyGuests, VirtualClock } from '../src/sim/index.js';
import { addMillis, guestSize, maxPages, millis, minPages, pages, type GuestSize, type Pages } from '../src/units.js';
import type { GuestId, Reading } from '../src/control/reading.js';
import type { BenchRow } from './row.js';

const GUESTS = 1_000;
const INTERVAL = millis(5_000);
const WARM_UP_ROUNDS = 300;
const ROUNDS = 700;
const NEVER = new AbortController().signal;

/** One row: microseconds for one guest and round. The world moves on by 5 s, every guest is read, every guest gets a target. */
export async function benchSimulator(): Promise<readonly BenchRow[]> {
  const host = manyGuests({ seed: 1, count: GUESTS });
  const clock = new VirtualClock();
  const hypervisor = createEmbeddedHypervisor({ host, clock });
  const ids = Array.from(host.guests(), ({ name }) => `embedded/${name}`);
  const targets = new Map<GuestId, GuestSize>();
  const round = async (): Promise<void> => {
    await clock.advanceTo(addMillis(clock.now(), INTERVAL));
    targets.clear();
    await hypervisor.read(
      ids,
      (outcome) => {
        if (outcome.kind === 'reading') targets.set(outcome.guest, targetFor(outcome.reading));
      },
      NEVER,
    );
    for (const [guest, target] of targets) await hypervisor.setTarget(guest, target, NEVER);
  };
  for (let count = 0; count < WARM_UP_ROUNDS; count += 1) await round();
  const startedAt = performance.now();
  for (let count = 0; count < ROUNDS; count += 1) await round();
  const microseconds = ((performance.now() - startedAt) * 1000) / (ROUNDS * GUESTS);
  await hypervisor.close();
  return [{ name: 'simulator, one guest and round', unit: 'µs', value: microseconds, goal: 2.5 }];
}

const LEAST = pages(40_000);

/** Roughly what self-ballooning would ask for, at almost no cost: the way down by eighths, the way up at once. */
function targetFor({ committed, current, maximum }: Reading): GuestSize {
  if (!committed.known || !current.known || !maximum.known) return guestSize(LEAST);
  const goal = Math.floor(committed.value * 1.15);
  const next = current.value > goal ? current.value - Math.floor((current.value - goal) / 8) : goal;
  return guestSize(clamp(pages(next), LEAST, maximum.value));
}

const clamp = (value: Pages, least: Pages, most: Pages): Pages => minPages(most, maxPages(least, value));
