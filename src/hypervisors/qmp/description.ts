/** A machine as it is announced: what can be done with it. */
import { blockOf } from '../../adapter/plug-devices.js';
import { NO_LIMITS } from '../../control/limits.js';
import type { Capabilities, GuestDescription } from '../../control/ports.js';
import type { GuestId } from '../../control/reading.js';
import type { Pages } from '../../units.js';
import type { Machine } from './machine.js';
import { guestNameOf, KIND } from './names.js';

export const describeMachine = (id: GuestId, { name, balloon, plugs }: Machine): GuestDescription => ({
  id,
  name: guestNameOf(name),
  capabilities: balloon === null ? WATCHED : { ...withGrowth(blockOf(plugs)), deflatesOnOom: balloon.deflatesOnOom },
  pool: KIND,
  limits: NO_LIMITS,
});

const DRIVEN: Capabilities = { canSetTarget: true, hasOverflowTier: false, isSimulated: false };
const withGrowth = (block: Pages | null): Capabilities => (block === null ? DRIVEN : { ...DRIVEN, growthBlock: block });
const WATCHED: Capabilities = { ...DRIVEN, canSetTarget: false };
