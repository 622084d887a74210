/** `selfballoon run`: the daemon in the foreground. */
import { BOOT_OPTIONS, pickBootOptions, type BootOption } from '../../control/boot-options.js';
import { loadConfig, type Config } from '../../config/index.js';
import { openProcFile } from '../../signals/proc-file.js';
import { parseCommandLine } from '../../signals/cmdline.js';
import { join } from 'node:path';
import { openDaemon, type Daemon, type DaemonParts } from '../daemon/daemon.js';
import { collectWhenGathered, letEngineGrow, letEngineOptimise } from '../daemon/engine.js';
import { openPlace } from '../daemon/find-place.js';
import { openLog, sayDebug, sayInfo, sayWarning } from '../daemon/log.js';
import { openOutput } from '../daemon/output.js';
import type { Place } from '../daemon/place.js';
import { lineShow, tableShow, type Show } from '../daemon/show.js';
import { listenForStop } from '../daemon/stop.js';
import { configFlags, type RunFlags } from '../flags.js';

/** Runs until it is told to stop, gives everything back, and returns the exit code: 1 when a guest did not take it back, or could not be reached. */
export async function runDaemon(flags: RunFlags): Promise<number> {
  const { config } = await loadConfig({ file: flags.config ?? null, env: process.env, flags: configFlags(flags) });
  const stop = listenForStop();
  const output = openOutput(process.stdout);
  let show: Show | null = null;
  const write = (line: string): void => {
    (show ?? output).line(line);
  };
  const logger = await openLog(config.log, write, process.stdout.isTTY);
  const info = sayInfo(logger);
  const warn = sayWarning(logger);

  const place = await openPlace({ config, bootOptions: bootOptionsOf(config, flags), warn });
  const tidy = tuneEngine(place);
  const shown = wantsScreen(config, flags)
    ? await tableShow(process.stdout)
    : lineShow(output.line, { info, debug: sayDebug(logger) });
  show = shown;
  const afterStep: DaemonParts['afterStep'] = (decisions) => {
    shown.afterStep(decisions);
    if (decisions.length > 0) tidy?.();
  };
  // Before it answers: whoever has heard it must find that a signal leads through giving back.
  stop.arm();
  const daemon = await openDaemon({ config, place, logger, afterStep });
  for (const line of introduction(config, place, daemon)) info(line);
  shown.begin(daemon.loop.readModel);
  try {
    const { unreleased, unreached } = await daemon.run(stop.signal);
    shown.close();
    for (const guest of unreleased) warn(`${guest}: does not have all of its memory back`);
    for (const where of unreached) warn(`nothing could be given back to whoever is there: ${where}`);
    const isReleased = unreleased.length === 0 && unreached.length === 0;
    info(farewell(config, isReleased));
    if (stop.failure !== null) throw stop.failure;
    return isReleased ? 0 : 1;
  } finally {
    shown.close();
    await daemon.close();
  }
}

/** What is to be called after each round; null: nothing. */
function tuneEngine({ isSmall, isHost }: Place): (() => void) | null {
  if (isSmall === true) {
    const tidy = collectWhenGathered();
    tidy();
    return tidy;
  }
  if (isHost === true) return letEngineOptimise();
  letEngineGrow();
  return null;
}

/** Some terminals say that they have no rows; a table would never be seen there. */
const wantsScreen = ({ log }: Config, { table }: RunFlags): boolean =>
  process.stdout.isTTY && process.stdout.rows > 0 && log.format === 'text' && table !== false;

function introduction(config: Config, place: Place, daemon: Daemon): readonly string[] {
  const why = config.hypervisor === 'embedded' ? 'as the configuration asks' : 'as nothing real was found here';
  return [
    ...place.hypervisors.map(({ description, kind }) => `${kind}: ${description}`),
    ...(place.isSimulated ? [`everything driven here is SIMULATED, ${why}`] : []),
    ...(config.isDryRun ? ['dry run: decisions are shown, nothing is changed'] : []),
    ...(daemon.socketPath === null ? [] : [`answers on ${daemon.socketPath}`]),
  ];
}

function farewell({ isDryRun }: Config, isReleased: boolean): string {
  if (isDryRun) return 'the dry run is over; nothing was changed';
  return isReleased
    ? 'gave everything back: every guest may have again what was taken from it'
    : 'ended without giving everything back';
}

/** From the kernel's command line, and from flags of the same names. */
function bootOptionsOf(config: Config, flags: RunFlags): readonly BootOption[] {
  const file = openProcFile(join(config.xenGuest.root, 'proc', 'cmdline'));
  const text = file.read();
  file.close();
  const line = text.known ? parseCommandLine(text.value) : text;
  const given = BOOT_OPTIONS.filter((option) => flags.bootOptions.includes(option));
  return pickBootOptions([...(line.known ? line.value.words : []), ...given]);
}
