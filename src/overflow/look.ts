/**
 * One look at the swap stripes and at the memory that is left. Reads `/proc/swaps` and `/proc/meminfo` under a given root;
 * decides nothing. What could not be read is unknown with the reason, never 0.
 */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { mapField, type Field } from '../control/signal.js';
import { parseMeminfo } from '../signals/meminfo.js';
import { openProcFile, type ProcFile } from '../signals/proc-file.js';
import { parseSwaps, type SwapArea } from '../signals/swaps.js';
import type { Pages } from '../units.js';
import type { Stripe } from './plan.js';

/** A configured stripe as it is now: null where it is not switched on. Same order as configured. */
export type StripesSeen = readonly (Stripe | null)[];

export interface StripeFiles {
  stripes(): Field<StripesSeen>;
  available(): Field<Pages>;
  close(): void;
}

export interface StripeFilesOptions {
  /** Folder under which `proc` lies; `/` on a real machine. */
  readonly root: string;
  readonly devices: readonly string[];
  /** How a file of `/proc` is kept open and read. Given by tests only. */
  readonly openFile?: (path: string) => ProcFile;
}

/** Opens the two files. A file that is not there is unknown at each look, not an error. */
export function openStripeFiles(options: StripeFilesOptions): StripeFiles {
  const openFile = options.openFile ?? openProcFile;
  const swaps = openFile(join(options.root, 'proc/swaps'));
  const meminfo = openFile(join(options.root, 'proc/meminfo'));
  return {
    stripes: () => {
      const text = swaps.read();
      const entries = text.known ? parseSwaps(text.value) : text;
      return mapField(entries, (found) => options.devices.map((device) => stripeOf(device, found)));
    },
    available: () => {
      const text = meminfo.read();
      return text.known ? parseMeminfo(text.value).available : text;
    },
    close: () => {
      swaps.close();
      meminfo.close();
    },
  };
}

function stripeOf(device: string, entries: readonly SwapArea[]): Stripe | null {
  const name = kernelName(device);
  const entry = entries.find((candidate) => candidate.name === name);
  if (entry === undefined) return null;
  return { device, size: entry.size, used: entry.used, priority: entry.priority };
}

/** The kernel shows a device by its resolved name; links such as `/dev/disk/by-id/…` may appear late or change. */
export function kernelName(device: string): string {
  try {
    return realpathSync(device);
  } catch {
    return device;
  }
}
