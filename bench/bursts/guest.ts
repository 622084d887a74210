/** The guest that the bursts are in: a real QEMU guest of the lab, with swap, and with the program's own agent in it if wanted. */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeAppImage } from '../../lab/app-image.js';
import { PrivateLibvirtd } from '../../lab/libvirt/daemon.js';
import { LibvirtGuest } from '../../lab/libvirt/guest.js';
import { copyImages } from '../../lab/libvirt/images.js';
import { QemuGuest } from '../../lab/qemu/guest.js';
import type { QemuImages } from '../../lab/qemu/images.js';
import type { LabGuest } from '../../lab/qemu/lab-guest.js';
import { describeMachine, type QemuGuestOptions } from '../../lab/qemu/machine.js';
import type { Setting } from './settings.js';

export const MEMORY_MIB = 512;
/** Swap on zram, so that what does not fit is slow and not dead. */
const SWAP_MIB = 256;
const GUEST = 'burst';

/**
 * As the unit for systemd has it (packaging/systemd): the agent is never swapped out, is the last to be killed, and gets the CPU before
 * those who wait for memory.
 */
const START_AGENT = `
mkdir -p /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/agent && cd /sys/fs/cgroup/agent
echo 64M > memory.min && echo 0 > memory.swap.max
cat > /run/agent.sh <<'END'
echo $$ > /sys/fs/cgroup/agent/cgroup.procs
echo -900 > /proc/self/oom_score_adj
renice -n -10 -p $$
exec /app/bin/selfballoon agent --config /run/agent.toml
END
`;
/** The agent's start takes an emulated processor some ten seconds. */
const AGENT_LIMIT_S = 120;
const SAYS_IT_REPORTS = `for n in $(seq ${AGENT_LIMIT_S}); do
  grep -q 'reports to the host' /run/agent.log && exit 0
  grep -q . /sys/fs/cgroup/agent/cgroup.procs || break
  sleep 1
done
cat /run/agent.log; exit 1`;

export interface BurstGuestOptions {
  /** Of the run, for sockets, images and logs. */
  readonly folder: string;
  readonly setting: Setting;
  /** Of the agent: the text of its `[pressure]` section, '' for the defaults. */
  readonly pressure: string;
}

/** Where the daemon finds the guest: a monitor's socket, or a libvirt. */
export type Place =
  { readonly kind: 'qmp'; readonly monitor: string } | { readonly kind: 'libvirt'; readonly uri: string };

export interface BurstGuest {
  readonly guest: LabGuest;
  readonly place: Place;
  readonly close: () => Promise<void>;
}

/** Boots it. Resolves when its agent, if it is to have one, reports. */
export async function bootBurstGuest(images: QemuImages, options: BurstGuestOptions): Promise<BurstGuest> {
  const { folder, setting, pressure } = options;
  const { hasAgent } = setting;
  const base = { name: GUEST, memoryMib: MEMORY_MIB, swapMib: SWAP_MIB, folder, hasOwnPort: hasAgent };
  const app = hasAgent ? await makeAppImage(fileURLToPath(new URL('../../..', import.meta.url)), folder) : null;
  const booted = await BOOT[setting.over](images, app === null ? base : { ...base, app });
  if (!hasAgent) return booted;
  const { guest } = booted;
  try {
    await guest.run(`${START_AGENT}printf '[pressure]\\n${pressure.replaceAll('\n', '\\n')}' > /run/agent.toml`);
    await guest.startProgram('sh /run/agent.sh', 'agent');
    await guest.run(SAYS_IT_REPORTS, AGENT_LIMIT_S * 2_000);
    return booted;
  } catch (error) {
    await booted.close();
    throw error;
  }
}

type Boot = (images: QemuImages, options: QemuGuestOptions) => Promise<BurstGuest>;

const BOOT: Readonly<Record<Setting['over'], Boot>> = { qmp: bootPlain, libvirt: bootDomain };

async function bootPlain(images: QemuImages, options: QemuGuestOptions): Promise<BurstGuest> {
  const guest = await QemuGuest.boot(images, options);
  return { guest, place: { kind: 'qmp', monitor: guest.monitor }, close: () => guest.close() };
}

/** In a folder of its own, which is libvirtd's user's: the daemon's files may not be made in somebody else's. */
async function bootDomain(images: QemuImages, outer: QemuGuestOptions): Promise<BurstGuest> {
  const options = { ...outer, folder: join(outer.folder, 'libvirt') };
  chmodSync(outer.folder, 0o755);
  mkdirSync(options.folder);
  const copies = copyImages(images, options.folder);
  const libvirtd = await PrivateLibvirtd.start(options.folder);
  try {
    const guest = await LibvirtGuest.boot(libvirtd, describeMachine(copies, options), options);
    const close = async (): Promise<void> => {
      guest.close();
      await libvirtd.close();
    };
    return { guest, place: { kind: 'libvirt', uri: libvirtd.uri }, close };
  } catch (error) {
    await libvirtd.close();
    throw error;
  }
}
