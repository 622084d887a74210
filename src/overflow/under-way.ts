/**
 * Which swap devices are being emptied by a tool that nobody waits for: a daemon that was killed has left it at work. Reads the command
 * lines of processes; decides nothing.
 *
 * Such a device is on by `/proc/swaps` and will be off. A signal to the tool would not end that: Linux looks for one only between two
 * processes' pages (`try_to_unuse` in mm/swapfile.c; seen with one process that had them all).
 */
import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { processesIn } from '../signals/processes.js';
import { kernelName } from './look.js';

const TOOL = 'swapoff';

/** Those of `devices` for which a `swapoff` runs by what is in `proc` under `root`. None where that cannot be read. */
export function devicesUnderWay(root: string, devices: readonly string[]): ReadonlySet<string> {
  const words = commandLines(join(root, 'proc')).flatMap(([program = '', ...rest]) =>
    basename(program) === TOOL ? rest.map(kernelName) : [],
  );
  const named = new Set(words);
  return new Set(devices.filter((device) => named.has(kernelName(device))));
}

/**
 * Of our own user's processes that have the tool's name. Another user's cannot be it, whatever he calls it; and a command line is in the
 * process's own memory, which may be swapped out.
 */
function commandLines(proc: string): readonly (readonly string[])[] {
  return processesIn(proc).map((pid) => {
    try {
      if (statSync(join(proc, pid)).uid !== process.geteuid?.()) return [];
      if (readFileSync(join(proc, pid, 'comm'), 'utf8').trim() !== TOOL) return [];
      return readFileSync(join(proc, pid, 'cmdline'), 'utf8').split('\0');
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}
