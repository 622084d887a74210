/** A program that runs in dom0 or in a guest while the test goes on: the daemon under test, a memory hog. */
import { quote, type Shell } from './shell.js';

const END_LIMIT_MS = 60_000;

export interface Background {
  readonly pid: number;
  /** What it has printed so far, on either output. */
  log(): Promise<string>;
  isRunning(): Promise<boolean>;
  /**
   * Waits until `count` (default: one) lines of what it has printed match an extended regular expression, or it has ended, and returns what it
   * has printed so far. Throws after `limitMs`.
   */
  waitForLog(pattern: string, limitMs: number, count?: number): Promise<string>;
  /** Sends a signal, `INT` for example. */
  signal(name: string): Promise<void>;
  /** Waits until it has ended; throws after `limitMs` (default: a minute). */
  waitForEnd(limitMs?: number): Promise<void>;
}

/** Starts `command`, a program with its arguments, in the background. `log` is the file for its output. */
export async function startInBackground(
  shell: Pick<Shell, 'name' | 'run' | 'tryRun' | 'waitUntil'>,
  command: string,
  log: string,
): Promise<Background> {
  // What one of the same name has printed before must not be taken for this one's.
  const pid = Number(await shell.run(`: >${log}; exec setsid ${command} >${log} 2>&1 </dev/null & echo $!`));
  // The first process, which inherits it, waits for it while it waits for a command: a zombie is gone by then.
  const runs = `kill -0 ${pid} 2>/dev/null`;
  const ofIt = `of ${command} in ${shell.name}`;
  const readLog = (): Promise<string> => shell.run(`cat ${log}`);
  return {
    pid,
    log: readLog,
    isRunning: async () => (await shell.tryRun(runs)).code === 0,
    waitForLog: async (pattern, limitMs, count = 1) => {
      const said = `[ "$(grep -cE ${quote(pattern)} ${log})" -ge ${count} ]`;
      await shell.waitUntil(`${said} || ! ${runs}`, { what: `${pattern} ${ofIt}`, limitMs });
      return readLog();
    },
    signal: async (name) => {
      await shell.run(`kill -${name} ${pid}`);
    },
    waitForEnd: async (limitMs = END_LIMIT_MS) => {
      await shell.waitUntil(`! ${runs}`, { what: `the end ${ofIt}`, limitMs });
    },
  };
}
