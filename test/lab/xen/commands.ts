/** The program's own commands in a guest of the lab, or in dom0. */
import type { XenGuest } from '../../../lab/xen/guest.js';
import type { Shell } from '../../../lab/xen/shell.js';

const TRIES = 4;

/** Beside the daemon's socket. */
const ATTRIBUTES = '/run/selfballoon/selfballoon';

/** A tunable's value by its attribute file. Unlike a command this takes no memory of the guest. */
export const readTunable = async (guest: XenGuest, name: string): Promise<string> =>
  (await guest.run(`cat ${ATTRIBUTES}/${name}`)).trim();

/** Writes a tunable's attribute file; the daemon answers by writing the file itself, which `readTunable` shows. */
export async function writeTunable(guest: XenGuest, name: string, value: number): Promise<void> {
  await guest.run(`echo ${value} > ${ATTRIBUTES}/${name}`);
}

/**
 * Runs `selfballoon WORDS` and returns what it printed. Under emulation, with a start of Node.js at the same time, the daemon may take
 * longer to answer than the client waits; then it is asked again. Throws when it fails otherwise.
 */
export async function selfballoon(place: Pick<Shell, 'tryRun'>, words: string): Promise<string> {
  for (let tries = 1; ; tries += 1) {
    const { code, output } = await place.tryRun(`selfballoon ${words}`);
    if (code === 0) return output;
    if (tries === TRIES || !output.includes('did not answer in time'))
      throw new Error(`selfballoon ${words} ended with ${code}: ${output}`);
  }
}
