/**
 * How a domain is asked to have so much plugged in: by what each of its devices has at that moment, each by a command of its own. It does
 * not know how much that should be.
 */
import { askDevices, describeRequests } from '../../adapter/plug-spread.js';
import { asHypervisorError, impossibleGrowth, unknownGrowth } from '../../adapter/port-errors.js';
import { pagesToKib, type Pages } from '../../units.js';
import type { Virsh } from '../../virsh/index.js';
import type { Domain } from './domain.js';
import { growthTooSlow } from './errors.js';
import { plugsOf, setGrowthWords } from './memory-devices.js';

export interface Growing {
  readonly domain: Domain;
  /** In all. */
  readonly plugged: Pages;
  /** Has the domain described anew; false: that did not work. Must not reject. */
  readonly renew: () => Promise<boolean>;
  /** May throw a `HypervisorError`. */
  readonly act: () => Virsh['act'];
  readonly signal: AbortSignal;
}

/** Settles only when none of it can have an effect any more. Rejects with `HypervisorError`. */
export async function plugInto({ domain, plugged, renew, act, signal }: Growing): Promise<void> {
  const { id: guest, uuid } = domain;
  if (signal.aborted) throw growthTooSlow(guest, plugged);
  // The devices of a domain that has only one need not be told apart.
  if (plugsOf(domain.shape).length > 1 && !(await renew())) throw unknownGrowth(guest);
  const requests = domain.plugHistory.plan(plugsOf(domain.shape), plugged);
  if (requests === null) throw impossibleGrowth(guest, plugged, 'detached');
  if (requests === 'unknown') throw unknownGrowth(guest);
  try {
    const ask = act();
    await askDevices(requests, ({ device, size }) => ask(setGrowthWords(uuid, device.key, size), signal), signal);
  } catch (error) {
    const size = describeRequests(requests, pagesToKib);
    throw asHypervisorError(error, { doing: `asking to have ${size} KiB plugged in`, guest });
  } finally {
    domain.noteGrowthAsked();
  }
}
