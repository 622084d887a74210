/**
 * What a domain keeps at this moment, where libvirt may not have heard of it yet: QEMU tells of a balloon once a second at most. By what libvirt
 * heard last, a guest on its way down would be measured with what it had before and told to take it back, and down again in the next round.
 * It decides nothing about what is asked of a guest.
 */
import type { Millis, KiB, Pages } from '../../units.js';
import { millis, NO_PAGES } from '../../units.js';
import { domainMemoryWords, parseActual, type Virsh } from '../../virsh/index.js';
import type { Domain } from './domain.js';
import { plugsOf } from './memory-devices.js';

/** QEMU tells libvirt of a balloon once a second at most, and then it is looked at. */
export const HEARD_WITHIN = millis(2_000);
/** Each takes libvirt some milliseconds. Of a host on which more move at once, the others are measured by what libvirt has heard. */
const AT_ONCE_MAX = 32;

/** What was asked of a domain last. */
export interface Asked {
  readonly target: Pages;
  readonly at: Millis;
}

/** Whether it was asked for something, or seen to move, so shortly before that libvirt may not have heard all of it. */
export function mayHaveMoved({ followed: { held } }: Domain, asked: Asked | undefined, now: Millis): boolean {
  const since = millis(now - HEARD_WITHIN);
  if (asked === undefined) return false;
  return asked.at >= since || (held.at(since) ?? NO_PAGES) !== (held.at(now) ?? NO_PAGES);
}

export class BalloonNow {
  #underWay = 0;

  /**
   * Asks its QEMU. Null: there is nothing better than what libvirt has heard. What can be plugged into a domain is in its description only, and
   * so is what it keeps. Never rejects.
   */
  async ask({ uuid, shape }: Domain, virsh: Virsh, signal: AbortSignal): Promise<KiB | null> {
    if (shape.balloon === null || plugsOf(shape).length > 0 || this.#underWay >= AT_ONCE_MAX) return null;
    this.#underWay += 1;
    try {
      return parseActual(await virsh.look(domainMemoryWords(uuid), signal));
    } catch {
      // A connection that is lost is told of elsewhere.
      return null;
    } finally {
      this.#underWay -= 1;
    }
  }
}
