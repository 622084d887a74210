/**
 * Below how much free memory a Linux kernel starts to reclaim, and how much it keeps for itself altogether. Computed once, from
 * all frames that the guest could have: a kernel sizes its watermarks at boot, and its balloon does not move them.
 */

export interface Watermarks {
  /** Ordinary allocations wait for reclaim below this many free pages. */
  readonly min: number;
  /** Background reclaim begins below this. */
  readonly low: number;
  /** Background reclaim ends above this. */
  readonly high: number;
  /** The specification's `totalreservePages`. */
  readonly reserve: number;
}

const KIB_PER_PAGE = 4;
/** `min_free_kbytes` is √(16 × RAM in KiB), within these (Linux since 5.9: 256 MiB at most). */
const MIN_FREE_FACTOR = 16;
const MIN_FREE_KIB_MIN = 128;
const MIN_FREE_KIB_MAX = 262_144;
/** `watermark_scale_factor`, in ten-thousandths of the zone: the default. */
const SCALE = 10 / 10_000;
/** `lowmem_reserve_ratio` of the zones DMA and DMA32: the default (admin-guide/sysctl/vm.rst). */
const LOWMEM_RATIO = 256;
/** Where x86-64 ends the zones DMA (16 MiB) and DMA32 (4 GiB), in pages. */
const ZONE_ENDS = [4_096, 1_048_576, Infinity] as const;

/** The watermarks of a guest with `ramPages` frames, from 0 on without holes. */
export function watermarksFor(ramPages: number): Watermarks {
  const minFreeKib = Math.floor(Math.sqrt(ramPages * KIB_PER_PAGE * MIN_FREE_FACTOR));
  const min = Math.floor(Math.min(Math.max(minFreeKib, MIN_FREE_KIB_MIN), MIN_FREE_KIB_MAX) / KIB_PER_PAGE);
  const step = Math.max(Math.floor(min / 4), Math.floor(ramPages * SCALE));
  const high = min + 2 * step;
  return { min, low: min + step, high, reserve: reserveOf(ramPages, high) };
}

/** For each zone: its high watermark, and what it keeps from allocations that could have come from higher zones. */
function reserveOf(ramPages: number, high: number): number {
  let reserve = 0;
  let start = 0;
  for (const end of ZONE_ENDS) {
    const managed = Math.max(0, Math.min(ramPages, end) - start);
    const above = Math.max(0, ramPages - end);
    const share = ramPages === 0 ? 0 : Math.floor((high * managed) / ramPages);
    reserve += Math.min(managed, share + Math.floor(above / LOWMEM_RATIO));
    start = end;
  }
  return reserve;
}
