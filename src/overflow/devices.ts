/** Which lists of swap devices can be stripes at all. */
import { SelfballoonError } from '../errors.js';

/** The kernel itself takes fewer than 32 swap devices (`MAX_SWAPFILES`, swapon(2)). */
export const STRIPES_MAX = 32;

/** Throws `ECONFIG` unless `devices` are 1 to 32 different absolute paths. */
export function checkDevices(devices: readonly string[]): void {
  if (devices.length === 0) throw refused('no swap device is named');
  if (devices.length > STRIPES_MAX)
    throw refused(`${devices.length} swap devices are named, at most ${STRIPES_MAX} work`);
  const relative = devices.find((device) => !device.startsWith('/') || device.includes('\0'));
  if (relative !== undefined) throw refused(`${JSON.stringify(relative)} is not an absolute path`);
  const twice = devices.find((device, index) => devices.indexOf(device) !== index);
  if (twice !== undefined) throw refused(`${twice} is named twice`);
}

const refused = (message: string): SelfballoonError =>
  new SelfballoonError({
    code: 'ECONFIG',
    message: `swap stripes: ${message}`,
    advice: 'Name each device once by its path, such as /dev/zram0, the one to be filled first first',
  });
