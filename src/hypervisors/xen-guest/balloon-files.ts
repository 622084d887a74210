/** The balloon driver's files, kept open. Does the reading; what the text means is the codec's. */
import { join } from 'node:path';
import { openProcFile, type ProcFile } from '../../signals/proc-file.js';
import { balloonSizes, type BalloonSizes } from './codec.js';

/** Where the driver's attribute files lie, below the root folder. */
export const XEN_MEMORY = 'sys/devices/system/xen_memory/xen_memory0';

/** A page: no sysfs attribute is longer. */
const ATTRIBUTE_BYTES_MAX = 4096;

export interface BalloonFiles {
  /** One look. What cannot be read is unknown with the reason. */
  read(): BalloonSizes;
  close(): void;
}

/** Opens the files under `root` (`/` on a real machine). Files that are not there are unknown at each look. */
export function openBalloonFiles(root: string): BalloonFiles {
  const open = (name: string): ProcFile =>
    openProcFile(join(root, XEN_MEMORY, name), { bytesMax: ATTRIBUTE_BYTES_MAX });
  const target = open('target_kb');
  const current = open('info/current_kb');
  const low = open('info/low_kb');
  const high = open('info/high_kb');
  return {
    read: () => balloonSizes({ target: target.read(), current: current.read(), low: low.read(), high: high.read() }),
    close: () => {
      for (const file of [target, current, low, high]) file.close();
    },
  };
}
