/**
 * `selfballoon release`: gives all memory back. A running daemon does it; where none runs (it was killed, or is being removed),
 * a Xen guest's balloon is emptied directly, and a host's guests are given back what they may have.
 */
import { loadConfig, type Config, type HypervisorChoice } from '../../config/index.js';
import { errorText, SelfballoonError, visibleLines } from '../../errors.js';
import { detectXen } from '../../hypervisors/xen-guest/detect.js';
import { request, type ClientAnswer } from '../../server/client.js';
import { defaultSocketPath } from '../../server/socket-path.js';
import { FROM_A_HOST } from '../daemon/place.js';
import { bodyOf, socketPathOf, type AskFlags } from './ask.js';

export interface ReleaseFlags extends AskFlags {
  readonly hypervisor?: string;
  /** Leaves everything as it is where a daemon answers. Default: that one gives everything back. */
  readonly unlessDriven?: boolean;
}

/** What `release` goes by without a configuration. */
export interface ReleaseDefaults {
  /** Where the machine's files are looked for. Default: `/`. */
  readonly root?: string;
  /** Where a daemon is asked. Default: where one answers that was configured nowhere. */
  readonly socket?: string;
  readonly warn?: (text: string) => void;
}

const sayAside = (text: string): void => {
  console.error(visibleLines(text));
};

/** Whole hosts, whose guests are driven from outside. */
const HOSTS: ReadonlySet<HypervisorChoice> = new Set(['xen-host', 'qmp', 'libvirt']);

/** Returns a sentence that says what was done. */
export async function releaseAll(flags: ReleaseFlags, defaults: ReleaseDefaults = {}): Promise<string> {
  try {
    return await askOrRelease(flags, async (noDaemon) =>
      releaseDirectly(await configOf(flags), noDaemon, defaults.warn),
    );
  } catch (error) {
    if (codeOf(error) !== 'ECONFIG') throw error;
    return releaseUnconfigured(flags, error, defaults);
  }
}

async function askOrRelease(flags: ReleaseFlags, release: (noDaemon: unknown) => Promise<string>): Promise<string> {
  const isLook = flags.unlessDriven === true;
  let answer: ClientAnswer;
  try {
    const socketPath = await socketPathOf(flags);
    answer = await (isLook ? request(socketPath, 'GET', '/v1/health') : request(socketPath, 'POST', '/v1/release'));
  } catch (error) {
    if (codeOf(error) !== 'EUNAVAILABLE') throw error;
    return release(error);
  }
  // A daemon that cannot do it now is there all the same, and two must not drive the same guests.
  const body = bodyOf(answer);
  if (!isLook) return 'the daemon gives everything back; selfballooning is 0 now';
  if (!isDaemon(body)) throw notDaemon();
  return 'a daemon answers and goes on: nothing was released';
}

/** By what our daemon says of its health. */
function isDaemon(body: string): boolean {
  try {
    const said: unknown = JSON.parse(body);
    return typeof said === 'object' && said !== null && 'status' in said && said.status === 'ok' && 'version' in said;
  } catch {
    return false;
  }
}

const notDaemon = (): SelfballoonError =>
  new SelfballoonError({
    code: 'EIO',
    message: 'nothing was released: another program answers where the daemon would',
    advice: 'Name the right socket with --socket, or see who listens there with ss -xlp',
  });

const codeOf = (error: unknown): string | null => (error instanceof SelfballoonError ? error.code : null);

async function configOf({ config: file, hypervisor }: ReleaseFlags): Promise<Config> {
  const flags = hypervisor === undefined ? {} : { hypervisor };
  return (await loadConfig({ file: file ?? null, env: process.env, flags })).config;
}

/**
 * With a configuration that cannot be used, which may be why the daemon has ended: what guests of Xen gave up needs nothing from it to be
 * given back. Where machines of QEMU are is known from it alone, and `broken` is thrown.
 */
async function releaseUnconfigured(flags: ReleaseFlags, broken: unknown, defaults: ReleaseDefaults): Promise<string> {
  const { root = '/', warn = sayAside } = defaults;
  const isGuest = detectXen(root).kind === 'guest';
  const hypervisor = flags.hypervisor ?? (isGuest ? 'xen-guest' : null);
  if (hypervisor !== 'xen-host' && !(hypervisor === 'xen-guest' && isGuest)) throw broken;
  const consequence = 'also above any max_mib, and a daemon that listens at a socket of its own takes it again';
  warn(`${errorText(broken)}; so memory is given back without the configuration, ${consequence}`);
  const given = { hypervisor, xen_guest: { root } };
  const { config } = await loadConfig({ file: null, defaultFile: null, env: {}, flags: given });
  const socket = flags.socket ?? defaults.socket ?? defaultSocketPath(process.env);
  return askOrRelease({ ...flags, socket }, (noDaemon) => releaseDirectly(config, noDaemon, warn));
}

async function releaseDirectly(config: Config, noDaemon: unknown, warn = sayAside): Promise<string> {
  if (HOSTS.has(config.hypervisor)) {
    const [{ openPlace }, { releaseHost }] = await Promise.all([
      import('../daemon/find-place.js'),
      import('./release-host.js'),
    ]);
    const place = await openPlace({ config, bootOptions: [], warn });
    return releaseHost(place, config, warn);
  }
  if (detectXen(config.xenGuest.root).kind === 'guest') {
    const { releaseGuest } = await import('./release-guest.js');
    return releaseGuest(config, { warn });
  }
  throw new SelfballoonError({
    code: 'EUNAVAILABLE',
    message: 'no daemon answers, and this is not a Xen guest whose balloon could be emptied directly',
    advice: `${FROM_A_HOST}. Elsewhere start the daemon and stop it again: on its way out it gives everything back`,
    cause: noDaemon,
  });
}
