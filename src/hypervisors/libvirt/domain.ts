/**
 * One run of a domain: who it is, how it was last described, and what its looks have said. It asks libvirt nothing and decides nothing.
 */
import { canDoTheSame } from '../../adapter/abilities.js';
import { cleanGuestName } from '../../adapter/guest-name.js';
import { NO_LIMITS } from '../../control/limits.js';
import { blockOf } from '../../adapter/plug-devices.js';
import { PlugHistory } from '../../adapter/plug-spread.js';
import type { Capabilities, GuestDescription } from '../../control/ports.js';
import type { GuestId, Signals } from '../../control/reading.js';
import type { Inside } from '../../inside/index.js';
import { FollowedGuest, residentAs } from '../../signals/followed-guest.js';
import type { PlugSizes } from '../../signals/plugged.js';
import { isToldInside } from '../../signals/polling-phase.js';
import { addPages, kibToPagesDown, maxPages, millis, NO_PAGES, type Millis, type Pages } from '../../units.js';
import { virtioMem, type DomainShape, type DomainStats } from '../../virsh/index.js';
import { baseIn, residentIn } from './codec.js';
import { plugsOf, sizesOf } from './memory-devices.js';
import type { StatsPolling } from './stats-polling.js';

export const KIND = 'libvirt';

export interface DomainOptions {
  readonly uuid: string;
  readonly id: GuestId;
  readonly shape: DomainShape;
  readonly polling: StatsPolling;
  readonly inside: Inside;
  /** When it was described so. */
  readonly now: Millis;
}

export class Domain {
  readonly uuid: string;
  readonly id: GuestId;
  readonly polling: StatsPolling;
  readonly inside: Inside;
  /** What is remembered from look to look. QEMU tells libvirt of a balloon once a second at most, so what it says may be old. */
  readonly followed = new FollowedGuest({ isHostLate: true });
  /** What is remembered of how memory is spread over its devices. */
  readonly plugHistory = new PlugHistory();
  #shape: DomainShape;
  #told: GuestDescription;
  #isAnswering = true;
  #metAt = millis(0);
  #describedAt: Millis;
  #growthsAsked = 0;
  #growthsDescribed = 0;

  constructor({ uuid, id, shape, polling, inside, now }: DomainOptions) {
    this.uuid = uuid;
    this.id = id;
    this.polling = polling;
    this.inside = inside;
    this.#shape = shape;
    this.#told = describe(id, shape);
    this.#describedAt = now;
    this.plugHistory.noteSeen(plugsOf(shape));
  }

  /** As it was last described. */
  get shape(): DomainShape {
    return this.#shape;
  }

  /** As it was last told of as a guest. */
  get told(): GuestDescription {
    return this.#told;
  }

  /** What is plugged into it beyond its boot memory; undefined: nothing can be. Null: libvirt did not say. */
  get plugged(): PlugSizes | null | undefined {
    const plugs = plugsOf(this.#shape);
    return plugs.length === 0 ? undefined : sizesOf(plugs);
  }

  /** What it holds and its host still counts as free; where its QEMU keeps its memory that is not the host's any more. */
  get untouched(): Pages {
    return this.#shape.keptBy === null ? this.followed.untouched : NO_PAGES;
  }

  /** When its shape was last described. */
  get describedAt(): Millis {
    return this.#describedAt;
  }

  /** When it was last met. */
  get metAt(): Millis {
    return this.#metAt;
  }

  /** Whether its QEMU answered when it was last looked at. */
  get isAnswering(): boolean {
    return this.#isAnswering;
  }

  /** How often something was asked to be plugged in. */
  get growthsAsked(): number {
    return this.#growthsAsked;
  }

  /** Whether something was asked to be plugged in that was not over when its shape was last described. */
  get isGrowthNews(): boolean {
    return this.#growthsAsked !== this.#growthsDescribed;
  }

  /** Whether that describes the same run. */
  isRunOf({ id, name }: DomainShape): boolean {
    return this.#shape.id === id && this.#shape.name === name;
  }

  noteMet(now: Millis): void {
    this.#metAt = now;
  }

  /** It is described anew. Returns what there is to tell: what can be done with it is something else now; null: nothing. */
  noteShape(shape: DomainShape, now: Millis): GuestDescription | null {
    this.#shape = shape;
    this.#describedAt = now;
    this.plugHistory.noteSeen(plugsOf(shape));
    const told = describe(this.id, shape);
    if (canDoTheSame(told.capabilities, this.#told.capabilities)) return null;
    this.#told = told;
    return told;
  }

  /** Asking for something to be plugged in is over, well or not. */
  noteGrowthAsked(): void {
    this.#growthsAsked += 1;
  }

  /** Of what was asked to be plugged in so much was over when its shape was last described. */
  noteGrowthsDescribed(growths: number): void {
    this.#growthsDescribed = growths;
  }

  /** What a look at all domains says of it at the beginning; null: nothing. */
  noteAnswer(heard: DomainStats | null): void {
    this.#isAnswering = heard !== null && (heard.lastUpdate !== null || this.#shape.balloon === null);
    if (heard === null) this.polling.isNeeded = false;
  }

  /** What a look that began at `at` has found, and what those inside have said by its end. */
  noteStats(stats: DomainStats, inside: readonly Partial<Signals>[], at: Millis): void {
    this.polling.noteSeen(stats.lastUpdate, at);
    this.polling.isNeeded = stats.lastUpdate !== null && !isToldInside(inside, at);
    this.followed.noteBase(baseIn(stats, this.#shape));
  }

  /** What it may touch, by statistics that come before its own look. */
  noteGiven(said: DomainStats): void {
    if (said.current === null) return;
    const mayTouch = maxPages(kibToPagesDown(said.current), this.#sizeAnew());
    this.followed.noteMayTouch(mayTouch, residentAs(residentIn(said)));
  }

  /** What one that was reset may touch, before its balloon driver speaks. */
  #sizeAnew(): Pages {
    const { sizeAnew } = this.followed;
    return sizeAnew === null ? NO_PAGES : addPages(sizeAnew, kibToPagesDown(virtioMem(this.#shape).current));
  }
}

const describe = (id: GuestId, shape: DomainShape): GuestDescription => ({
  id,
  name: cleanGuestName(KIND, shape.name),
  capabilities: capabilitiesOf(shape),
  pool: KIND,
  isSeenWithAll: true,
  limits: NO_LIMITS,
});

const DRIVEN: Capabilities = { canSetTarget: true, hasOverflowTier: false, isSimulated: false };
const WATCHED: Capabilities = { ...DRIVEN, canSetTarget: false };

function capabilitiesOf(shape: DomainShape): Capabilities {
  const own = shape.keptBy === null ? {} : { keepsMemory: true };
  if (shape.balloon === null) return { ...WATCHED, ...own };
  const block = blockOf(plugsOf(shape));
  const { deflatesOnOom } = shape.balloon;
  return { ...DRIVEN, ...own, deflatesOnOom, ...(block === null ? {} : { growthBlock: block }) };
}
