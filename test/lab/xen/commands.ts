/** The program's own commands in a guest of the lab. */
import type { XenGuest } from '../../../lab/xen/guest.js';

const TRIES = 4;

/**
 * Runs `selfballoon WORDS` and returns what it printed. Under emulation, with a start of Node.js at the same time, the daemon may take
 * longer to answer than the client waits; then it is asked again. Throws when it fails otherwise.
 */
export async function selfballoon(guest: XenGuest, words: string): Promise<string> {
  for (let tries = 1; ; tries += 1) {
    const { code, output } = await guest.tryRun(`selfballoon ${words}`);
    if (code === 0) return output;
    if (tries === TRIES || !output.includes('did not answer in time'))
      throw new Error(`selfballoon ${words} ended with ${code}: ${output}`);
  }
}
