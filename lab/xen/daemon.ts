/** The program under test, running in dom0 or in a guest. */
import { startInBackground, type Background } from './background.js';
import { writeText, type Shell } from './shell.js';

/** Node.js needs a few seconds to start under emulation, and more while others are busy. */
const UP_LIMIT_MS = 300_000;

export interface DaemonOptions {
  /** Names this daemon's files, and so makes it one of several. */
  readonly name: string;
  /** Its configuration file's text. A journal is always kept, and is configured by the lab. */
  readonly config: string;
  /** Words after `run`. */
  readonly flags?: readonly string[];
}

export interface Daemon extends Background {
  /** The path of its configuration file, for other commands. */
  readonly config: string;
  /** Its journal's text so far, also after it has ended. */
  journal(): Promise<string>;
}

/** Starts `selfballoon run`. It has begun when this resolves, but has perhaps not looked at anything yet. */
export async function startDaemon(shell: Shell, { name, config, flags = [] }: DaemonOptions): Promise<Daemon> {
  const [file, journal] = [`/run/${name}.toml`, `/run/${name}.journal`];
  await writeText(shell, file, config);
  const words = ['run', '--no-table', '--config', file, '--journal', journal, ...flags];
  const process = await startInBackground(shell, `selfballoon ${words.join(' ')}`, `/run/${name}.log`);
  return { ...process, config: file, journal: () => shell.readFile(journal) };
}

/** Tells the daemon to end, as its unit does, and waits until it has. */
export async function endDaemon(daemon: Background): Promise<void> {
  await daemon.signal('INT');
  await daemon.waitForEnd();
}

/** Waits until the daemon answers on its socket. Throws with its log when it ends instead. */
export async function waitUntilItAnswers(daemon: Daemon): Promise<void> {
  const log = await daemon.waitForLog('answers on', UP_LIMIT_MS);
  if (!log.includes('answers on')) throw new Error(`the daemon ${daemon.config} ended:\n${log}`);
}
