/** Where the agent's port of virtio-serial is in this guest. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SelfballoonError } from '../../errors.js';
import { OWN_PORT } from '../../signals/report-ways.js';

/** A machine has 31 ports on each virtio-serial device, and as a rule one of those. */
const PORTS_MAX = 1_024;

/**
 * The device of the port. udev makes a link of its name; where there is no udev the kernel says which of its ports has that name.
 * `root`: the folder that has `dev` and `sys` in it. Throws `SelfballoonError` `ENODEV` where there is none.
 */
export function findPort(root: string, name: string = OWN_PORT): string {
  const link = join(root, 'dev', 'virtio-ports', name);
  if (existsSync(link)) return link;
  const folder = join(root, 'sys', 'class', 'virtio-ports');
  const port = entriesOf(folder).find((entry) => nameOf(join(folder, entry)) === name);
  if (port !== undefined) return join(root, 'dev', port);
  throw new SelfballoonError({
    code: 'ENODEV',
    message: `this machine has no port of virtio-serial that is called ${name}`,
    advice:
      'Give the virtual machine one, as docs/guides/qemu.md shows, and see that the module virtio_console is loaded; ' +
      'or name a device with --port',
  });
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder).slice(0, PORTS_MAX);
  } catch {
    // A machine without virtio-serial has no such folder.
    return [];
  }
}

/** Empty for a port without a name, or one that goes while it is looked at. */
function nameOf(port: string): string {
  try {
    return readFileSync(join(port, 'name'), 'utf8').trim();
  } catch {
    return '';
  }
}
