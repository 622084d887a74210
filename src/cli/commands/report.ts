/** `selfballoon report`: inside a Xen guest, tells the host how this guest is, and changes nothing. */
import { loadConfig, type Config } from '../../config/index.js';
import type { Alarm } from '../../control/alarm.js';
import type { Signals } from '../../control/reading.js';
import { stamp } from '../../control/signal.js';
import { errorText, SelfballoonError } from '../../errors.js';
import { openBalloonFiles } from '../../hypervisors/xen-guest/balloon-files.js';
import { detectXen } from '../../hypervisors/xen-guest/detect.js';
import { Reporter } from '../../reporter/reporter.js';
import { RealClock } from '../../runtime/real-clock.js';
import { openAlarmSensor, type AlarmSensor } from '../../signals/alarm-sensor.js';
import { openGuestReader } from '../../signals/guest-reader.js';
import { openReportNode } from '../daemon/report-node.js';
import { openLog, sayInfo, sayWarning, type Say } from '../daemon/log.js';
import { openOutput } from '../daemon/output.js';
import { listenForStop } from '../daemon/stop.js';
import { configFlags, type ReportFlags } from '../flags.js';

/** Reports until it is told to stop. Returns the exit code. Throws `SelfballoonError` where it cannot report at all. */
export async function runReporter(flags: ReportFlags): Promise<number> {
  const { config } = await loadConfig({
    file: flags.config ?? null,
    env: process.env,
    flags: configFlags({ ...flags, bootOptions: [] }),
  });
  const stop = listenForStop();
  const output = openOutput(process.stdout);
  const logger = await openLog(config.log, output.line, process.stdout.isTTY);
  requireGuest(config);
  const node = await openReportNode();
  sayInfo(logger)(`reports to the host through ${node.description}`);
  stop.arm();
  try {
    await report(config, node.publish, stop.signal, sayWarning(logger));
    await node.remove();
  } finally {
    await node.close();
  }
  if (stop.failure !== null) throw stop.failure;
  return 0;
}

function requireGuest({ xenGuest }: Config): void {
  const xen = detectXen(xenGuest.root);
  if (xen.kind === 'guest') return;
  throw new SelfballoonError({
    code: 'ENODEV',
    message: `not started: only a guest of Xen reports, and this is none (${xen.seen})`,
    advice: 'Run it inside the guests. In dom0 run: selfballoon run --hypervisor xen-host',
  });
}

async function report(
  config: Config,
  publish: (text: string, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
  warn: Say,
): Promise<void> {
  const clock = new RealClock();
  const { root } = config.xenGuest;
  const reader = openGuestReader({ root, now: () => clock.now() });
  const balloon = openBalloonFiles(root);
  const read = (): Signals => {
    const signals = reader.read();
    return { ...signals, current: stamp(balloon.read().current, clock.now()) };
  };
  const reporter = new Reporter({ read, publish, clock, tell: warn });
  const onAlarm = ({ cause }: Alarm): void => {
    reporter.alarm(cause);
  };
  const { isWatched, trigger } = config.pressure;
  const sensor: AlarmSensor | null = isWatched ? openAlarmSensor({ root, clock, trigger, warn, onAlarm }) : null;
  try {
    await reporter.run(signal);
  } catch (error) {
    warn(`the reporter ends: ${errorText(error)}`);
    throw error;
  } finally {
    await sensor?.close();
    reader.close();
    balloon.close();
  }
}
