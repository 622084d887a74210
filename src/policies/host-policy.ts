/**
 * The rule for a host's guests, each seen from outside: specification 1 on what a guest reports of itself, or a coarser rule on
 * the little that some guests tell. It adds what the old driver could take for granted inside a guest: that there is somebody who
 * knows, something that catches what a smaller guest needs all the same (swap, or a balloon that lets go by itself), and a page cache
 * that nobody lives from.
 */
import type { Decision, GuestPolicy, GuestView, Wish } from '../control/policy.js';
import { isReported, type Reading } from '../control/reading.js';
import type { Unknown } from '../control/signal.js';
import type { Tunables } from '../control/tunables.js';
import { subtractToZero, type Millis, type Pages } from '../units.js';
import { guardCache, type WithCacheMemory } from './cache-guard.js';
import { selfPolicy } from './self-policy.js';
import type { SelfshrinkMemory } from './selfshrink.js';
import { isShortFor, usedMemoryWish } from './used-memory.js';

/** Specification 1 from outside, without a look at the guests' page cache: what the product's rule is compared with. */
export const bareHostPolicy: GuestPolicy<SelfshrinkMemory> = { ...selfPolicy, name: 'host-bare', decide };

/** What the rule for guests seen from outside remembers of one. */
export type HostMemory = SelfshrinkMemory & WithCacheMemory;

/** Specification 1 from outside. Guests that report nothing are left alone, and those that live from their page cache keep it. */
export const hostPolicy: GuestPolicy<HostMemory> = { ...guardCache(bareHostPolicy), name: 'host' };

function decide(view: GuestView, memory: SelfshrinkMemory, now: Millis): Decision<SelfshrinkMemory> {
  const decided = selfPolicy.decide(view, memory, now);
  if (view.tunables.selfballooning === 0) return decided;
  const { shrinkOverflowTo, memory: remembered, wakeAt } = decided;
  return { wish: whereCaught(view, wishFor(view, decided.wish)), shrinkOverflowTo, memory: remembered, wakeAt };
}

function wishFor({ reading, tunables }: GuestView, byLaw: Wish): Wish {
  const { committed, used, current } = reading;
  const more = moreByAvailable(reading, tunables);
  if (more !== null) return more;
  if (!isReported(reading)) return { kind: 'hold', reason: { code: 'no-report', numbers: {} } };
  // Whoever tells what it uses and nothing else is not asked for what the rule would need.
  if (!committed.known && committed.reason === 'not-reported' && !used.known) return unknownUse(used);
  if (committed.known || !used.known || !current.known) return byLaw;
  const byUse = usedMemoryWish(used.value, current.value, tunables);
  // Its promises are unknown, and not none: what was made room for them is not taken from a guest whose agent has fallen silent.
  const mayShrink = committed.reason === 'not-reported';
  return mayShrink || isGrowth(byUse, current.value) ? byUse : byLaw;
}

/**
 * What is not available is in use, whether or not anything would catch the guest: where no more is known that is enough to give it more, and
 * not to take anything.
 */
function moreByAvailable({ committed, used, current, available }: Reading, tunables: Tunables): Wish | null {
  if (committed.known || used.known || !current.known || !available.known) return null;
  const inUse = subtractToZero(current.value, available.value);
  if (!isShortFor(inUse, current.value)) return null;
  const wish = usedMemoryWish(inUse, current.value, tunables);
  return isGrowth(wish, current.value) ? wish : null;
}

const isGrowth = (wish: Wish, current: Pages): boolean => wish.kind === 'resize' && wish.target > current;

const unknownUse = ({ reason, detail }: Unknown): Wish => ({
  kind: 'hold',
  reason: { code: 'signal-unknown', numbers: {}, detail: `used: ${reason}, ${detail}` },
});

/**
 * A guest with neither swap nor a balloon that deflates when it runs out of memory may grow, and is never asked to give anything up. One
 * that tells a single number is trusted to have some.
 */
function whereCaught({ reading, deflatesOnOom = false }: GuestView, wish: Wish): Wish {
  const { swapTotal, committed, current } = reading;
  const hasSwap = swapTotal.known ? swapTotal.value > 0 : !committed.known;
  if (wish.kind === 'hold' || hasSwap || deflatesOnOom) return wish;
  if (current.known && wish.target >= current.value) return wish;
  return { kind: 'hold', reason: { code: 'no-swap', numbers: { goal: wish.goal } } };
}
