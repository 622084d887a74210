/** A program that runs in dom0 or in a guest while the test goes on: the daemon under test, a memory hog. */
import { waitFor, type Shell } from './shell.js';

const END_LIMIT_MS = 60_000;

export interface Background {
  readonly pid: number;
  /** What it has printed so far, on either output. */
  log(): Promise<string>;
  isRunning(): Promise<boolean>;
  /** Sends a signal, `INT` for example. */
  signal(name: string): Promise<void>;
  /** Waits until it has ended; throws after `limitMs` (default: a minute). */
  waitForEnd(limitMs?: number): Promise<void>;
}

/** Starts `command`, a program with its arguments, in the background. `log` is the file for its output. */
export async function startInBackground(
  shell: Pick<Shell, 'name' | 'run' | 'tryRun'>,
  command: string,
  log: string,
): Promise<Background> {
  const pid = Number(await shell.run(`exec setsid ${command} >${log} 2>&1 </dev/null & echo $!`));
  const isRunning = async (): Promise<boolean> =>
    // A zombie has ended, even if nobody has noticed yet.
    (await shell.tryRun(`grep -q '^State:.[^ZX]' /proc/${pid}/status`)).code === 0;
  return {
    pid,
    log: () => shell.run(`cat ${log}`),
    isRunning,
    signal: async (name) => {
      await shell.run(`kill -${name} ${pid}`);
    },
    waitForEnd: async (limitMs = END_LIMIT_MS) => {
      await waitFor({ what: `the end of ${command} in ${shell.name}`, limitMs }, async () =>
        (await isRunning()) ? null : true,
      );
    },
  };
}
