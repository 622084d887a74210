/**
 * Replays lines of the `balloon-driver` kind: one driver per scenario, carried from line to line, in the vectors' world. The
 * lines do not say whether their guest has memory hotplug; where the caller does not know either, both are tried, and the one
 * that disagrees first is dropped for the rest of the scenario.
 */
import { createWorld, type BalloonStats, type FrameRun, type World } from '../../balloon/index.js';
import { errorText } from '../../errors.js';
import { NO_PAGES } from '../../units.js';
import { AGREES, type Comparison } from './comparison.js';
import {
  badDriverLine,
  decodeDriverLine,
  type DriverLine,
  type DriverStats,
  type HotplugArguments,
  type InitArguments,
} from './driver-decoder.js';
import { Scenarios } from './scenarios.js';

export interface DriverReplayOptions {
  /** Whether the guests have memory hotplug. Default: found out from the lines, scenario by scenario. */
  readonly hotplug?: boolean;
}

export interface DriverReplay {
  /** Replays one line. Throws `SelfballoonError` with code `EINVAL` when it is no line of this kind, or out of order. */
  replay(line: unknown): Comparison;
}

const HEAD_FRAMES = 4;
const ENOMEM = -12;

/** One way to understand a scenario: its world, and the loans of its successful allocs. */
interface Run {
  readonly world: World;
  readonly loans: (readonly FrameRun[])[];
}

interface Done {
  readonly result: number;
  readonly lent: readonly FrameRun[] | null;
}

/** A replayer with no scenario begun. */
export function createDriverReplay(options: DriverReplayOptions = {}): DriverReplay {
  const scenarios = new Scenarios<readonly Run[]>();
  const kinds = options.hotplug === undefined ? [false, true] : [options.hotplug];
  return {
    replay(raw) {
      const line = decodeDriverLine(raw);
      if (line.op === 'init') {
        const { args } = line;
        scenarios.begin(
          line,
          kinds.map((hotplug) => startRun(args, hotplug)),
        );
      }
      const results = scenarios.take(line).map((run) => ({ run, comparison: replayOn(run, line) }));
      const agreeing = results.filter(({ comparison }) => comparison.agrees);
      if (agreeing.length > 0) {
        scenarios.keep(
          line.scenario,
          agreeing.map(({ run }) => run),
        );
      }
      return (agreeing[0] ?? results[0])?.comparison ?? AGREES;
    },
  };
}

function startRun(init: InitArguments, hotplug: boolean): Run {
  const world = createWorld({
    ...init,
    extraPages: init.pvDomain ? init.extraPages : NO_PAGES,
    sectionPages: hotplug ? init.pagesPerSection : null,
  });
  return { world, loans: [] };
}

function replayOn(run: Run, line: DriverLine): Comparison {
  const where = `scenario ${line.scenario}, line ${line.n} (${line.op})`;
  const loan = line.op === 'free_ballooned' ? run.loans[line.args.loan] : [];
  if (loan === undefined) throw badDriverLine(`${where} frees a loan that was never made`);
  run.world.takeScheduled();
  try {
    return compare(run.world, line, perform(run, line, loan), where);
  } catch (error) {
    return { agrees: false, expected: line, got: errorText(error), where };
  }
}

function perform({ world, loans }: Run, line: DriverLine, loan: readonly FrameRun[]): Done {
  switch (line.op) {
    case 'init':
      break;
    case 'process':
      world.driver.runWorker();
      break;
    case 'online_pending':
      world.onlinePending();
      break;
    case 'set_new_target':
      world.driver.setTarget(line.args.targetPages);
      break;
    case 'alloc_ballooned': {
      const outcome = world.driver.lend(line.args.pages);
      if (outcome.kind === 'out-of-memory') return { result: ENOMEM, lent: null };
      loans.push(outcome.runs);
      return { result: 0, lent: outcome.runs };
    }
    case 'free_ballooned':
      world.driver.takeBack(loan);
      break;
    case 'world_hypervisor':
      world.reservation.freePages = line.args.hypervisorFreePages;
      break;
    case 'world_allocator':
      world.allocator.allocatablePages = line.args.allocatablePages;
      break;
    case 'world_hotplug':
      changeHotplug(world, line.args);
      break;
  }
  return { result: 0, lent: null };
}

function changeHotplug({ driver, hotplug }: World, to: HotplugArguments): void {
  driver.setHotplugUnpopulated(to.hotplugUnpopulated !== 0);
  if (hotplug === null) return;
  hotplug.resourceFails = to.resourceFails;
  hotplug.addFails = to.addFails;
}

/** Compares value by value, the costly ones last, and stops at the first that differs. */
function compare(world: World, expected: DriverLine, done: Done, where: string): Comparison {
  for (const [name, wanted, got] of comparedValues(world, expected, done)) {
    if (!isSame(wanted, got)) return { agrees: false, expected: wanted, got, where: `${where}: ${name}` };
  }
  return AGREES;
}

function* comparedValues(
  world: World,
  expected: DriverLine,
  done: Done,
): Iterable<readonly [string, unknown, unknown]> {
  const { driver, reservation, pendingPages } = world;
  const got = new Map(Object.entries(statsByName(driver.stats)));
  yield ['result', expected.result, done.result];
  yield ['scheduledSeconds', expected.scheduledSeconds, world.takeScheduled() ?? -1];
  for (const [name, wanted] of Object.entries(expected.stats)) yield [`stats.${name}`, wanted, got.get(name)];
  yield ['length', expected.length, driver.stats.balloonLow + driver.stats.balloonHigh];
  yield ['hypervisorFreePages', expected.hypervisorFreePages, reservation.freePages];
  yield ['pendingHotplugPages', expected.pendingHotplugPages, pendingPages];
  yield ['head', expected.head, firstFrames(driver.listRuns(), HEAD_FRAMES)];
  yield ['lent', expected.lent, done.lent === null ? undefined : firstFrames(done.lent, Infinity)];
  yield ['fnv1a32', expected.fnv1a32, hashFrames(driver.listRuns())];
}

const statsByName = (stats: BalloonStats): DriverStats => ({
  current_pages: stats.currentPages,
  target_pages: stats.targetPages,
  target_unpopulated: stats.targetUnpopulated,
  balloon_low: stats.balloonLow,
  balloon_high: stats.balloonHigh,
  total_pages: stats.totalPages,
  schedule_delay: stats.scheduleDelay,
  max_schedule_delay: stats.maxScheduleDelay,
  retry_count: stats.retryCount,
  max_retry_count: stats.maxRetryCount,
});

function isSame(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((value, at) => value === b[at]);
}

function firstFrames(runs: Iterable<FrameRun>, countMax: number): readonly number[] {
  const frames: number[] = [];
  for (const run of runs) {
    for (let at = 0; at < run.length; at += 1) {
      if (frames.length === countMax) return frames;
      frames.push(run.start + run.step * at);
    }
  }
  return frames;
}

/** FNV-1a over whole frame numbers, modulo 2^32. Of a larger frame number, only its lowest 32 bits can matter. */
function hashFrames(runs: Iterable<FrameRun>): number {
  let hash = 2_166_136_261;
  for (const run of runs) {
    for (let at = 0; at < run.length; at += 1) hash = Math.imul(hash ^ (run.start + run.step * at), 16_777_619);
  }
  return hash >>> 0;
}
