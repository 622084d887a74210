/** A machine as it is announced: what can be done with it. */
import { blockOf } from '../../adapter/plug-devices.js';
import { NO_LIMITS } from '../../control/limits.js';
import type { Capabilities, GuestDescription } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import type { KeptMemory } from '../../signals/kept-memory.js';
import { pagesToMibDown, type Pages } from '../../units.js';
import type { Machine } from './machine.js';
import { guestNameOf, KIND } from './names.js';

type Described = Pick<Machine, 'name' | 'balloon' | 'plugs' | 'kept'>;

export const describeMachine = (id: GuestId, machine: Described): GuestDescription => ({
  id,
  name: guestNameOf(machine.name),
  capabilities: capabilitiesOf(machine),
  pool: KIND,
  limits: NO_LIMITS,
});

function capabilitiesOf({ balloon, plugs, kept }: Described): Capabilities {
  const own = kept === null ? {} : { keepsMemory: true };
  if (balloon === null) return { ...WATCHED, ...own };
  return { ...DRIVEN, ...withGrowth(blockOf(plugs)), ...own, deflatesOnOom: balloon.deflatesOnOom };
}

const DRIVEN: Capabilities = { canSetTarget: true, hasOverflowTier: false, isSimulated: false };
const withGrowth = (block: Pages | null): Partial<Capabilities> => (block === null ? {} : { growthBlock: block });
const WATCHED: Capabilities = { ...DRIVEN, canSetTarget: false };

/** What was seen of memory that stays with its QEMU, as a clause. */
export const describeKept = ({ cause, size }: KeptMemory): string =>
  `its QEMU ${SEEN[cause].replace('SIZE', `${pagesToMibDown(size)} MiB`)}`;

const SEEN: Readonly<Record<KeptMemory['cause'], string>> = {
  'huge-pages': 'has SIZE in huge pages (HugetlbPages in its /proc/PID/status)',
  locked:
    'has SIZE locked in memory, as by mem-lock=on or for a device that is passed through (VmLck in its /proc/PID/status)',
  pinned: 'has SIZE pinned for a device that is passed through (VmPin in its /proc/PID/status)',
};
