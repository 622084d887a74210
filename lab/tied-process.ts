/**
 * Starts a program that cannot outlive this process, however this process ends: the kernel kills it. It knows nothing of what
 * the program is.
 */
import { spawn, type ChildProcess } from 'node:child_process';

/** Run by the shell once the kernel has been told to kill it with its parent: which may be gone by then, so it looks. */
const UNLESS_ORPHANED = '[ "$PPID" = "$0" ] && exec "$@"';

/**
 * Starts `command`; its output is piped and its input is empty. Call it on the main thread: the kernel goes by the thread that
 * started it. Needs `setpriv` (util-linux).
 */
export function spawnTied(command: string, args: readonly string[]): ChildProcess {
  const shell = ['sh', '-c', UNLESS_ORPHANED, String(process.pid), command, ...args];
  return spawn('setpriv', ['--pdeathsig', 'KILL', ...shell], { stdio: ['ignore', 'pipe', 'pipe'] });
}
