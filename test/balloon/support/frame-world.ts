/** A world of single frames: a hypervisor, an allocator and hotplug simple enough to be believed, with a fault for each. */
import type { BalloonPorts } from '../../../src/balloon/index.js';
import { risingRun, type FrameRun } from '../../../src/balloon/frame-run.js';
import { pages } from '../../../src/units.js';
import { compress, expand } from './frames.js';

export interface FrameWorldOptions {
  readonly bootPages: number;
  readonly extraPages: number;
  readonly sectionPages: number;
  readonly hypervisorFree: number;
  readonly hasHotplug: boolean;
  /** Lowest first, or the frame that was freed last first, starting from the boot memory in the order of `scatter`. */
  readonly order: 'lowest' | 'latest';
  readonly scatter: number;
}

export class FrameWorld {
  readonly options: FrameWorldOptions;
  hypervisorFree: number;
  allocatable: number;
  increaseFails = false;
  hotplugRefuses = false;
  free: number[];
  nextFrame: number;
  pending: number[][] = [];
  scheduled: number[] = [];

  constructor(options: FrameWorldOptions) {
    this.options = options;
    this.hypervisorFree = options.hypervisorFree;
    this.allocatable = options.bootPages;
    this.nextFrame = options.bootPages + options.extraPages;
    const boot = Array.from({ length: options.bootPages }, (_, frame) => frame);
    const key = (frame: number): number => (frame * options.scatter) % 97;
    this.free = options.order === 'lowest' ? boot : boot.sort((a, b) => key(a) - key(b) || a - b);
  }

  /** Null: the hypervisor answers with an error. */
  increase(count: number): number | null {
    if (this.increaseFails) return null;
    const granted = Math.min(count, this.hypervisorFree);
    this.hypervisorFree -= granted;
    return granted;
  }

  take(count: number): number[] {
    const taken: number[] = [];
    while (taken.length < count && this.allocatable > 0) {
      if (this.options.order === 'lowest') this.free.sort((a, b) => b - a);
      const frame = this.free.pop();
      if (frame === undefined) break;
      taken.push(frame);
      this.allocatable -= 1;
    }
    return taken;
  }

  put(frames: readonly number[]): void {
    for (const frame of frames) {
      if (this.free.includes(frame)) throw new Error(`frame ${frame} was freed twice`);
      this.free.push(frame);
      this.allocatable += 1;
    }
  }

  /** The frames added, or null when they cannot be had. They are pending section by section. */
  reserve(count: number): number[] | null {
    if (this.hotplugRefuses) return null;
    const added = Array.from({ length: count }, (_, at) => this.nextFrame + at);
    for (let at = 0; at < count; at += this.options.sectionPages) {
      this.pending.push(added.slice(at, at + this.options.sectionPages));
    }
    this.nextFrame += count;
    return added;
  }

  takePending(): number[][] {
    const online = this.pending;
    this.pending = [];
    return online;
  }
}

const sectionRun = (section: readonly number[]): FrameRun => risingRun(section[0] ?? -1, section.length);

/** The same world as ports. `cutRuns` hands frames out in runs of one, as a fragmented guest would. */
export function portsOver(world: FrameWorld, cutRuns: boolean): BalloonPorts {
  const runsOf = (frames: readonly number[]): FrameRun[] =>
    cutRuns ? frames.map((frame) => risingRun(frame, 1)) : compress(frames);
  return {
    reservation: {
      increase(runs, count) {
        if (new Set(expand(runs)).size !== count) throw new Error('a frame was asked for twice');
        const granted = world.increase(count);
        return granted === null ? { kind: 'failed' } : { kind: 'granted', count: pages(granted) };
      },
      decrease(runs, count) {
        if (new Set(expand(runs)).size !== count) throw new Error('a frame was given twice');
        world.hypervisorFree += count;
        return count;
      },
    },
    allocator: {
      take: (count) => runsOf(world.take(count)),
      free: (runs) => {
        world.put(expand(runs));
      },
    },
    hotplug: world.options.hasHotplug
      ? {
          sectionPages: pages(world.options.sectionPages),
          reserve(count) {
            const added = world.reserve(count);
            return added === null ? { kind: 'refused' } : { kind: 'added', pending: compress(added) };
          },
          waitOnline: () => world.takePending().map(sectionRun),
        }
      : null,
    schedule: (delaySeconds) => world.scheduled.push(delaySeconds),
  };
}

/** The first section that is pending comes online; null when there is none. */
export function takeSection(world: FrameWorld): { readonly frames: readonly number[]; readonly run: FrameRun } | null {
  const section = world.pending.shift();
  return section === undefined ? null : { frames: section, run: sectionRun(section) };
}
