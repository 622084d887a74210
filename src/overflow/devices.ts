/** Which lists of swap devices can be stripes at all. */
import { SelfballoonError } from '../errors.js';

/** Throws `ECONFIG` unless `devices` are different absolute paths, one at least. How many there may be is the configuration's. */
export function checkDevices(devices: readonly string[]): void {
  if (devices.length === 0) throw refused('no swap device is named');
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
