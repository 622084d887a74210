/** The guest that the bursts are in: a real QEMU guest of the lab, with swap, and with the program's own agent in it if wanted. */
import { fileURLToPath } from 'node:url';
import { makeAppImage } from '../../lab/app-image.js';
import { QemuGuest } from '../../lab/qemu/guest.js';
import type { QemuImages } from '../../lab/qemu/images.js';

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
  readonly hasAgent: boolean;
  /** Of the agent: the text of its `[pressure]` section, '' for the defaults. */
  readonly pressure: string;
}

/** Boots it. Resolves when its agent, if it is to have one, reports. */
export async function bootBurstGuest(
  images: QemuImages,
  { folder, hasAgent, pressure }: BurstGuestOptions,
): Promise<QemuGuest> {
  const base = { name: GUEST, memoryMib: MEMORY_MIB, swapMib: SWAP_MIB, folder };
  if (!hasAgent) return QemuGuest.boot(images, base);
  const app = await makeAppImage(fileURLToPath(new URL('../../..', import.meta.url)), folder);
  const guest = await QemuGuest.boot(images, { ...base, app, hasOwnPort: true });
  try {
    await guest.run(`${START_AGENT}printf '[pressure]\\n${pressure.replaceAll('\n', '\\n')}' > /run/agent.toml`);
    await guest.startProgram('sh /run/agent.sh', 'agent');
    await guest.run(SAYS_IT_REPORTS, AGENT_LIMIT_S * 2_000);
    return guest;
  } catch (error) {
    await guest.close();
    throw error;
  }
}
