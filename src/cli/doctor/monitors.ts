/** Can the QEMU machines of this host be seen and driven? Nothing is changed in any of them. */
import type { Config } from '../../config/index.js';
import { errorText, quoted } from '../../errors.js';
import { answerOrNull } from '../../hypervisors/qmp/answer-or-null.js';
import { findBalloon } from '../../hypervisors/qmp/balloon-device.js';
import { findGuestPorts, pathsOf, type GuestPorts } from '../../hypervisors/qmp/guest-ports.js';
import { isSameMachine, type Identity } from '../../hypervisors/qmp/identity.js';
import { AGENT_PORTS } from '../../hypervisors/qmp/inside.js';
import { findMemoryDevices } from '../../hypervisors/qmp/memory-devices.js';
import { guestNameOf, machineName } from '../../hypervisors/qmp/names.js';
import { findClosedFolders, findSockets } from '../../hypervisors/qmp/socket-patterns.js';
import { connectQmp, decodeDeflateOnOom, decodeName, decodeUuid, QmpError, type Qmp } from '../../qmp/index.js';
import { RealClock } from '../../runtime/real-clock.js';
import { EmulatorMemory } from '../../signals/emulator-memory.js';
import { millis, pages } from '../../units.js';
import { besidesOf, portUse } from './besides.js';
import { fail, ok, warn, type Finding } from './finding.js';
import { checkKept } from './kept-memory.js';
import { checkNames, type CalledMachine } from './same-names.js';
import { checkPorts, type PortsOf } from './shared-ports.js';
import { checkUnmet } from './unmet-patterns.js';

/** Who is listened to in a guest, as configured, and the folder that has the host's `proc` in it. */
type Heard = Pick<Config['qmp'], 'asksAgent' | 'hearsOwn'> & { readonly root: string };

/** For all that is asked of one machine. */
const LIMIT = millis(3_000);

/** `driven`: so many machines are known to the daemon that runs, which holds their monitors; which ones these are nobody here can tell. */
export async function checkMonitors(
  { qmp, xenGuest }: Pick<Config, 'qmp' | 'xenGuest'>,
  driven: number,
): Promise<readonly Finding[]> {
  if (qmp.sockets.length === 0) {
    return [fail('qmp.sockets names no monitors of QEMU', 'Set it, for example to ["/run/qemu/*.qmp"]')];
  }
  const found = await findSockets(qmp.sockets);
  const unmet = await checkUnmet(qmp.sockets);
  if (found.length === 0) {
    const where = qmp.sockets.join(', ');
    const closed = await findClosedFolders(qmp.sockets);
    if (closed.length > 0) {
      const advice = 'Run as a user that may: the one that runs QEMU, or one of its group';
      return [fail(`no socket is seen at ${where}: this user may not look into ${closed.join(', ')}`, advice)];
    }
    return unmet;
  }
  const checks = await Promise.all(found.map((path) => checkMonitor(path, { ...qmp, root: xenGuest.root })));
  const held = checks.flatMap(({ path, findings }) => (findings === null ? [path] : []));
  const twins = checks.map((check, n) => twinOf(check, checks.slice(0, n), xenGuest.root));
  const shown = checks.flatMap((check, n) => {
    const twin = twins[n] ?? null;
    return twin === null ? (check.findings ?? []) : [secondMonitor(check, twin)];
  });
  const called = calledIn(checks, twins);
  return [...shown, ...checkNames(called), ...checkPorts(called), ...heldFindings(held, driven), ...unmet];
}

/** Those that are machines of their own. */
const calledIn = (checks: readonly Check[], twins: readonly (Check | null)[]): readonly (CalledMachine & PortsOf)[] =>
  checks.flatMap(({ path, who }, n) =>
    who === null || twins[n] !== null ? [] : [{ path, name: who.guest, paths: who.paths }],
  );

/** The same machine at a monitor before: the daemon would leave one of the two alone. */
function twinOf({ who }: Check, before: readonly Check[], root: string): Check | null {
  if (who === null) return null;
  const emulator = new EmulatorMemory({ root, pid: who.pid, now: () => millis(0) });
  const twin = before.find((one) => one.who !== null && isSameMachine(who, one.who, emulator));
  emulator.close();
  return twin ?? null;
}

const secondMonitor = ({ path, who }: Check, twin: Check): Finding =>
  warn(
    `${path} is a second monitor of ${shownName(who?.ownName ?? null)}, which answers at ${twin.path} too: one of them is left alone`,
    'Name only one of them in qmp.sockets',
  );

/** Of those that nobody greets at: somebody else holds them, or their QEMUs hang. */
function heldFindings(held: readonly string[], driven: number): readonly Finding[] {
  if (held.length <= driven) {
    return held.map((path) =>
      ok(`the monitor at ${path} is held, as by the daemon that runs: selfballoon status shows its machine`),
    );
  }
  const advice = 'A monitor serves one client: give QEMU one for selfballoon alone. Or its process is stopped';
  if (driven === 0) return held.map((path) => fail(`the QEMU at ${path} does not greet`, advice));
  const by = `monitors that do not greet: ${held.length}; machines that the daemon knows: ${driven}`;
  return [warn(`${by}: ${held.join(', ')}`, `It may hold second monitors of some. Otherwise: ${advice}`)];
}

interface Who extends Identity {
  /** What the daemon calls the guest in it. */
  readonly guest: string;
  /** Where its ports come out. */
  readonly paths: readonly string[];
}

/** What was found at one socket. */
interface Check {
  readonly path: string;
  /** Null: nobody greets. */
  readonly findings: readonly Finding[] | null;
  /** Null: it did not say. */
  readonly who: Who | null;
}

/** What QEMU says is anybody's who may start one, and a line of it could pass for a finding. It is called what the daemon calls it. */
const shownName = (name: string | null): string => (name === null ? 'a machine without a name' : guestNameOf(name));

async function checkMonitor(path: string, heard: Heard): Promise<Check> {
  const clock = new RealClock();
  const limit = clock.timeLimit(LIMIT);
  let machine: Qmp;
  try {
    machine = await connectQmp(path, { clock, greetingLimit: LIMIT }, limit);
  } catch (error) {
    if (error instanceof QmpError && error.qmpCode === 'ETIMEDOUT') return { path, findings: null, who: null };
    const advice = `What listens at ${path} must be a QMP monitor that this user may connect to: -qmp unix:PATH,server=on,wait=off`;
    return { path, findings: [fail(errorText(error), advice)], who: null };
  }
  try {
    const ownName = decodeName(await machine.execute('query-name', {}, { signal: limit }));
    const uuid = decodeUuid(await answerOrNull(machine.execute('query-uuid', {}, { signal: limit })));
    const ports = await findGuestPorts(machine, limit);
    const findings = await checkMachine(machine, { name: shownName(ownName), path, heard, ports }, limit);
    const guest = guestNameOf(machineName(ownName, uuid, path));
    return { path, findings, who: { pid: machine.peerPid(), ownName, uuid, guest, paths: pathsOf(ports) } };
  } catch (error) {
    return { path, findings: [fail(`${path}: ${errorText(error)}`, 'See whether its QEMU is stopped')], who: null };
  } finally {
    await machine.close();
  }
}

interface Named {
  readonly name: string;
  readonly path: string;
  readonly heard: Heard;
  readonly ports: GuestPorts;
}

async function checkMachine(machine: Qmp, { path, ...named }: Named, signal: AbortSignal): Promise<readonly Finding[]> {
  const answers = `${named.name} answers at ${path}`;
  const balloon = await findBalloon(machine, signal);
  // Such a machine is only watched, whatever else it has.
  if (balloon === null) return [warn(`${answers}, and has no balloon`, 'Give QEMU -device virtio-balloon-pci')];
  return [
    await checkBalloon(machine, { answers, balloon }, signal),
    ...(await checkKept(machine, { name: named.name, root: named.heard.root }, signal)),
    await checkBesides(machine, named, signal),
  ];
}

async function checkBesides(
  machine: Qmp,
  { name, heard, ports }: Omit<Named, 'path'>,
  signal: AbortSignal,
): Promise<Finding> {
  const ends = Object.values(AGENT_PORTS).map((port) => ports.get(port));
  const unusable = ends.find((end) => end?.kind === 'unusable');
  if (unusable?.kind === 'unusable') {
    const advice = 'Give its chardev a unix socket: -chardev socket,id=ID,path=PATH,server=on,wait=off';
    return warn(`${name} has a port for an agent that cannot be used: ${unusable.why}`, advice);
  }
  // Older QEMUs do not know the command.
  const devices = await answerOrNull(machine.execute('query-memory-devices', {}, { signal }));
  const { plugs } = await findMemoryDevices(machine, devices, signal);
  return besidesOf(name, {
    guestAgent: portUse(ports.has(AGENT_PORTS.guestAgent), heard.asksAgent),
    ownAgent: portUse(ports.has(AGENT_PORTS.ownAgent), heard.hearsOwn),
    pluggable: pages(plugs.reduce((sum, { maximum }) => sum + maximum, 0)),
  });
}

interface Found {
  readonly answers: string;
  /** Its QOM path. */
  readonly balloon: string;
}

async function checkBalloon(machine: Qmp, { answers, balloon }: Found, signal: AbortSignal): Promise<Finding> {
  const asked = { path: balloon, property: 'deflate-on-oom' };
  const deflates = decodeDeflateOnOom(await machine.execute('qom-get', asked, { signal }));
  const shown = `${answers}, with a balloon at ${quoted(balloon)}`;
  if (deflates === true) return ok(shown);
  return warn(
    `${shown} that does not deflate when the guest runs out of memory`,
    'Set deflate-on-oom=on for it; otherwise the guest is left alone until it has swapped something out',
  );
}
