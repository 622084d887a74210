/** `selfballoon doctor`: checks what self-ballooning needs here, and says what to do about each thing that is missing. */
import { describeSource, loadConfig, type LoadedConfig } from '../../config/index.js';
import { mapField } from '../../control/signal.js';
import { errorText, visible } from '../../errors.js';
import { openBalloonFiles } from '../../hypervisors/xen-guest/balloon-files.js';
import { detectXen } from '../../hypervisors/xen-guest/detect.js';
import { RealClock } from '../../runtime/real-clock.js';
import { defaultSocketPath } from '../../server/index.js';
import { openGuestReader } from '../../signals/guest-reader.js';
import { addPages } from '../../units.js';
import { checkSocket, knownAt } from '../doctor/control.js';
import { checkBalloon, checkDomain } from '../doctor/domain.js';
import { fail, ok, type Finding } from '../doctor/finding.js';
import { checkJournal } from '../doctor/journal.js';
import { checkReadings, checkSwap, checkTier, plannedSwap } from '../doctor/memory.js';
import { checkAlarms } from '../doctor/pressure.js';
import type { AskFlags } from './ask.js';

export interface DoctorFlags extends AskFlags {
  readonly hypervisor?: string;
  readonly json?: boolean;
}

/** Prints every finding; false when one of them keeps the daemon from its job. */
export async function runDoctor(flags: DoctorFlags, print: (text: string) => void): Promise<boolean> {
  const findings = await examine(flags);
  if (flags.json === true) print(visible(JSON.stringify(findings)));
  else for (const finding of findings) print(findingText(finding));
  return findings.every(({ level }) => level !== 'fail');
}

/** Paths, and what others say, are in it: no line of theirs may pass for one of ours. */
function findingText({ level, what, advice }: Finding): string {
  return `${level.padEnd(4)}  ${visible(what)}${advice === null ? '' : `\n      → ${visible(advice)}`}`;
}

async function examine(flags: DoctorFlags): Promise<readonly Finding[]> {
  const loaded = await loadConfig({
    file: flags.config ?? null,
    env: process.env,
    flags: flags.hypervisor === undefined ? {} : { hypervisor: flags.hypervisor },
  });
  const { config } = loaded;
  const { root } = config.xenGuest;
  const xen = detectXen(root);
  const common = [ok(`Node.js ${process.version}`), ...configFindings(loaded), ...checkJournal(config.journal.path)];
  if (config.hypervisor === 'xen-host') {
    const { checkHost } = await import('../doctor/host.js');
    return [...common, ...(await checkHost(xen, config)), await checkControl(flags.socket ?? config.socketPath)];
  }
  if (config.hypervisor === 'qmp') {
    const { checkMonitors } = await import('../doctor/monitors.js');
    const socket = flags.socket ?? config.socketPath;
    const control = await checkControl(socket);
    const driven = control.level === 'ok' ? await knownAt(socket ?? defaultSocketPath(process.env), 'qmp') : 0;
    return [...common, ...(await checkMonitors(config, driven)), control];
  }
  if (config.hypervisor === 'libvirt') {
    const { checkLibvirt } = await import('../doctor/libvirt.js');
    return [...common, ...(await checkLibvirt(config)), await checkControl(flags.socket ?? config.socketPath)];
  }
  return [
    ...common,
    checkDomain(xen, config.hypervisor),
    ...checkBalloon(xen, root),
    ...(xen.kind === 'not-xen' && config.hypervisor !== 'xen-guest' ? [] : checkTier(config.overflow.devices, root)),
    ...checkMemory(root, xen.kind === 'guest', config.overflow.devices),
    ...(xen.kind === 'guest' ? checkAlarms(root, config.pressure) : []),
    await checkControl(flags.socket ?? config.socketPath),
  ];
}

function configFindings({ sources }: LoadedConfig): readonly Finding[] {
  const set = [...sources].filter(([, source]) => source.kind !== 'default');
  if (set.length === 0) return [ok('the configuration is all defaults')];
  return set.map(([key, source]) => ok(`${key} is set by ${describeSource(source)}`));
}

/** Swap matters where memory would really be taken. */
function checkMemory(root: string, isDriven: boolean, devices: readonly string[]): readonly Finding[] {
  const clock = new RealClock();
  const reader = openGuestReader({ root, now: () => clock.now() });
  const signals = reader.read();
  reader.close();
  if (!isDriven) return checkReadings(signals);
  const balloon = openBalloonFiles(root);
  const sizes = balloon.read();
  balloon.close();
  const swapTotal = mapField(signals.swapTotal, (on) => addPages(on, plannedSwap(devices, root)));
  return [checkSwap({ total: signals.total, swapTotal, ...sizes }), ...checkReadings(signals)];
}

async function checkControl(given: string | null): Promise<Finding> {
  try {
    return await checkSocket(given ?? defaultSocketPath(process.env));
  } catch (error) {
    return fail(errorText(error), 'Choose a path with --socket');
  }
}
