/** `selfballoon run`: the daemon in the foreground. */
import { BOOT_OPTIONS, pickBootOptions, type BootOption } from '../../control/boot-options.js';
import { loadConfig, type Config } from '../../config/index.js';
import { openProcFile } from '../../signals/proc-file.js';
import { parseCommandLine } from '../../signals/cmdline.js';
import { join } from 'node:path';
import { openDaemon } from '../daemon/daemon.js';
import { openPlace } from '../daemon/find-place.js';
import { openLog, sayInfo, sayWarning } from '../daemon/log.js';
import { lineShow, tableShow, type Show } from '../daemon/show.js';
import { configFlags, type RunFlags } from '../flags.js';

/** Runs until SIGINT or SIGTERM, gives everything back, and returns the exit code: 1 when a guest did not take it back. */
export async function runDaemon(flags: RunFlags): Promise<number> {
  const { config } = await loadConfig({ file: flags.config ?? null, env: process.env, flags: configFlags(flags) });
  const stop = stopOnSignals();
  const isScreen =
    process.stdout.isTTY && process.stdout.rows > 0 && config.log.format === 'text' && flags.table !== false;
  let show: Show | null = null;
  const write = (line: string): void => {
    if (show === null) process.stdout.write(`${line}\n`);
    else show.line(line);
  };
  const logger = await openLog(config.log, write, process.stdout.isTTY);
  const info = sayInfo(logger);
  const warn = sayWarning(logger);

  const place = await openPlace({ config, bootOptions: bootOptionsOf(config, flags), warn });
  show = isScreen ? await tableShow(process.stdout) : lineShow((line) => process.stdout.write(`${line}\n`), info);
  const shown = show;
  const daemon = await openDaemon({
    config,
    place,
    logger,
    afterStep: (decisions) => {
      shown.afterStep(decisions);
    },
  });
  for (const { description, kind } of place.hypervisors) info(`${kind}: ${description}`);
  if (place.isSimulated) info('no hypervisor was found or named, so everything driven here is SIMULATED');
  if (config.isDryRun) info('dry run: decisions are shown, nothing is changed');
  if (daemon.socketPath !== null) info(`answers on ${daemon.socketPath}`);
  shown.begin(daemon.loop.readModel);
  try {
    const unreleased = await daemon.run(stop);
    shown.close();
    for (const guest of unreleased) warn(`${guest}: did not take its memory back`);
    info(farewell(config, unreleased.length === 0));
    return unreleased.length === 0 ? 0 : 1;
  } finally {
    shown.close();
    await daemon.close();
  }
}

function farewell({ isDryRun }: Config, isReleased: boolean): string {
  if (isDryRun) return 'the dry run is over; nothing was changed';
  return isReleased
    ? 'gave everything back: every guest may have its maximum again'
    : 'ended without giving everything back';
}

/** Aborted by the first SIGINT or SIGTERM. A second one ends the process at once, whatever it is waiting for. */
function stopOnSignals(): AbortSignal {
  const stopping = new AbortController();
  const onSignal = (): void => {
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return stopping.signal;
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
