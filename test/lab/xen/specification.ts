/**
 * Specification 1 once more, written from its text and independent of the program: what a guest of the lab should have been told,
 * from the numbers that stand in the journal and in the guest's own /proc/zoneinfo. All in pages of 4 KiB.
 */

export interface StepInputs {
  readonly totalramPages: number;
  readonly totalreservePages: number;
  readonly maxPfn: number;
  readonly committedPages: number;
  readonly balloonCurrentPages: number;
  /** 0 where self-shrinking is off. */
  readonly frontswapPages: number;
  readonly downhysteresis: number;
  readonly uphysteresis: number;
  readonly minUsableMb: number;
  /** The product's reserve on top of the goal: MiB, or a tenth of the guest's RAM. */
  readonly reservedMb: number | 'auto';
}

const PAGES_PER_MIB = 256;
const mib = (count: number): number => count * PAGES_PER_MIB;

export function floorOf({ totalreservePages, maxPfn, minUsableMb }: StepInputs): number {
  if (minUsableMb !== 0) return totalreservePages + mib(minUsableMb);
  const useful = maxPfn - totalreservePages;
  if (useful < mib(16)) return maxPfn;
  if (useful < mib(64)) return totalreservePages + mib(16) + Math.trunc((useful - mib(16)) / 2);
  if (useful < mib(512)) return totalreservePages + mib(40) + Math.trunc((useful - mib(40)) / 8);
  return totalreservePages + mib(99) + Math.trunc((useful - mib(99)) / 32);
}

export function goalOf(inputs: StepInputs): number {
  const { committedPages, totalreservePages, frontswapPages, reservedMb, totalramPages } = inputs;
  const reserved = reservedMb === 'auto' ? Math.trunc(totalramPages / 10) : mib(reservedMb);
  return committedPages + totalreservePages + frontswapPages + reserved;
}

/** What the balloon driver should be handed. */
export function balloonTargetOf(inputs: StepInputs): number {
  const { totalramPages: current, balloonCurrentPages, downhysteresis, uphysteresis } = inputs;
  const goal = goalOf(inputs);
  const damped =
    current > goal
      ? current - Math.trunc((current - goal) / downhysteresis)
      : current + Math.trunc((goal - current) / uphysteresis);
  return Math.max(damped, floorOf(inputs)) + balloonCurrentPages - current;
}

export interface ShrinkMemory {
  readonly seen: number;
  readonly countdown: number;
}

/** One step of self-shrinking: what it remembers, and the page count to shrink to or null. */
export function shrinkStepOf(
  before: ShrinkMemory,
  frontswapPages: number,
  { hysteresis, inertia }: { readonly hysteresis: number; readonly inertia: number },
): ShrinkMemory & { readonly to: number | null } {
  const seen = frontswapPages;
  if (seen === 0 || seen > before.seen) return { seen, countdown: inertia, to: null };
  const countdown = Math.max(0, before.countdown - 1);
  if (countdown !== 0) return { seen, countdown, to: null };
  return { seen, countdown, to: seen <= hysteresis ? 0 : seen - Math.trunc(seen / hysteresis) };
}

/** `totalreservePages` and `maxPfn` from the text of /proc/zoneinfo. */
export function zonesOf(zoneinfo: string): { readonly reserve: number; readonly maxPfn: number } {
  const zones = zoneinfo.split(/^Node /m).slice(1);
  const number = (zone: string, pattern: RegExp): number => Number(pattern.exec(zone)?.[1] ?? 0);
  const reserveOf = (zone: string): number => {
    const protection = (/protection: \(([^)]*)\)/.exec(zone)?.[1] ?? '0').split(',').map(Number);
    // The kernel's own number is made from watermarks that are not boosted; what is printed has the boost of the moment in it.
    const high = number(zone, /^ +high +(\d+)/m) - number(zone, /^ +boost +(\d+)/m);
    return Math.min(Math.max(...protection) + high, number(zone, /^ +managed +(\d+)/m));
  };
  const endOf = (zone: string): number =>
    zone.includes('start_pfn') ? number(zone, /start_pfn: +(\d+)/) + number(zone, /^ +spanned +(\d+)/m) : 0;
  return {
    reserve: zones.map(reserveOf).reduce((sum, one) => sum + one, 0),
    maxPfn: Math.max(...zones.map(endOf)),
  };
}
