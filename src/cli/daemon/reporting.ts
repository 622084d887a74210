/** What every reporter in a guest does, however its reports travel: looks, watches for shortage, and tells, until it is told to stop. */
import { loadConfig, type Config, type PressureTrigger } from '../../config/index.js';
import type { Alarm } from '../../control/alarm.js';
import type { Clock } from '../../control/ports.js';
import type { Signals } from '../../control/reading.js';
import { stamp, type Field } from '../../control/signal.js';
import { errorText } from '../../errors.js';
import { Reporter } from '../../reporter/reporter.js';
import { RealClock } from '../../runtime/real-clock.js';
import { openAlarmSensor, type AlarmSensor } from '../../signals/alarm-sensor.js';
import { openGuestReader } from '../../signals/guest-reader.js';
import type { Millis, Pages } from '../../units.js';
import { configFlags, type AgentFlags } from '../flags.js';
import { collectWhenGathered } from './engine.js';
import { openLog, sayInfo, sayWarning, type Say } from './log.js';
import { openOutput } from './output.js';
import type { ReportWay } from './report-way.js';
import { listenForStop } from './stop.js';

/** Somebody in the guest who knows what it holds. */
export interface HeldSource {
  read(): { readonly current: Field<Pages> };
  close(): void;
}

/** In what one reporter differs from another. */
export interface ReportingKind {
  /** The folder that has the guest's `proc` in it. */
  readonly rootOf: (config: Config) => string;
  /** Which pressure trigger is set, where the guest is watched. */
  readonly triggerOf: (config: Config) => PressureTrigger;
  /** Rejects with `SelfballoonError` where it cannot report at all. */
  readonly openWay: (config: Config, clock: Clock) => Promise<ReportWay>;
  /** Default: nobody in the guest knows. */
  readonly openHeld?: (root: string) => HeldSource;
  /** The longest pause after a report that did not get through. Default: the reporter's. */
  readonly retryMax?: Millis;
}

/** Reports until it is told to stop. Returns the exit code. Rejects with `SelfballoonError` where it cannot report at all. */
export async function runReporting(flags: AgentFlags, kind: ReportingKind): Promise<number> {
  const { config } = await loadConfig({
    file: flags.config ?? null,
    env: process.env,
    flags: configFlags({ ...flags, bootOptions: [] }),
  });
  const stop = listenForStop();
  const output = openOutput(process.stdout);
  const logger = await openLog(config.log, output.line, process.stdout.isTTY);
  const clock = new RealClock();
  const way = await kind.openWay(config, clock);
  stop.arm();
  sayInfo(logger)(`reports to the host through ${way.description}`);
  try {
    await report({ config, kind, way, clock, warn: sayWarning(logger) }, stop.signal);
    await way.leave();
  } finally {
    await way.close();
  }
  if (stop.failure !== null) throw stop.failure;
  return 0;
}

interface Reporting {
  readonly config: Config;
  readonly kind: ReportingKind;
  readonly way: ReportWay;
  readonly clock: Clock;
  readonly warn: Say;
}

async function report({ config, kind, way, clock, warn }: Reporting, signal: AbortSignal): Promise<void> {
  const root = kind.rootOf(config);
  const reader = openGuestReader({ root, now: () => clock.now() });
  const held = kind.openHeld?.(root) ?? null;
  const read = (): Signals => {
    const signals = reader.read();
    return held === null ? signals : { ...signals, current: stamp(held.read().current, clock.now()) };
  };
  const tidy = collectWhenGathered();
  const publish: ReportWay['publish'] = async (text, ending) => {
    await way.publish(text, ending);
    tidy();
  };
  const { retryMax } = kind;
  const { alarmsWait } = way;
  const pace = retryMax === undefined ? { alarmsWait } : { alarmsWait, retryMax };
  const reporter = new Reporter({ read, publish, clock, tell: warn, ...pace });
  const onAlarm = ({ cause }: Alarm): void => {
    reporter.alarm(cause);
  };
  const trigger = kind.triggerOf(config);
  const sensor: AlarmSensor | null = config.pressure.isWatched
    ? openAlarmSensor({ root, clock, trigger, warn, onAlarm })
    : null;
  try {
    await reporter.run(signal);
  } catch (error) {
    warn(`the reporter ends: ${errorText(error)}`);
    throw error;
  } finally {
    await sensor?.close();
    reader.close();
    held?.close();
  }
}
