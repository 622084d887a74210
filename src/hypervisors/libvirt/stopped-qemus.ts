/**
 * Which QEMUs of domains do not run, by what the kernel says of their processes: they are stopped (SIGSTOP, a debugger), or wait for
 * something that cannot be interrupted, as a disk that is gone. What hangs otherwise it does not know; nor, in a container, what is
 * outside.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processesIn } from '../../signals/processes.js';

/** Why a domain was not asked: its QEMU does not run, or so many hang. */
export type WhyLeftOut = { readonly kind: 'stopped' } | { readonly kind: 'others-hang'; readonly hanging: number };

/** Those of `uuids`, by what is in `proc` under `root`. None where that cannot be read. */
export function stoppedQemus(root: string, uuids: readonly string[]): ReadonlySet<string> {
  const asked = new Set(uuids);
  const proc = join(root, 'proc');
  return new Set(
    processesIn(proc).flatMap((pid) => {
      // A command line is in the process's own memory, which may be swapped out: only those that count are read.
      if (!isStopped(read(join(proc, pid, 'stat')))) return [];
      const uuid = uuidIn(read(join(proc, pid, 'cmdline')));
      return uuid !== null && asked.has(uuid) ? [uuid] : [];
    }),
  );
}

/** libvirt starts each with `-uuid`. */
function uuidIn(commandLine: string): string | null {
  const words = commandLine.split('\0');
  const place = words.indexOf('-uuid');
  return place < 0 ? null : (words[place + 1] ?? null);
}

/** The program's name before the state may have anything in it. */
const isStopped = (stat: string): boolean => /^ [TtD] /.test(stat.slice(stat.lastIndexOf(')') + 1));

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It has ended meanwhile, or is none of our business.
    return '';
  }
}
