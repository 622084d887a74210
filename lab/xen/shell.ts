/** A place in the lab where commands can be run: dom0 or a guest. What can be done anywhere is here. */
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { Machine } from './machine.js';
import type { ConsolePlace, Ran } from './protocol.js';

/** Commands take some ten times as long as on the bare machine, and more when that is busy. */
const COMMAND_LIMIT_MS = 120_000;
/** A look costs an emulated guest half a second of its processor's time, which what is waited for needs too. */
const LOOK_PAUSE_MS = 1_000;

export interface Shell {
  /** For messages. */
  readonly name: string;
  /** Runs a shell command, whatever comes of it. It is killed after `limitMs` (default: two minutes). */
  readonly tryRun: (command: string, limitMs?: number) => Promise<Ran>;
  /** Runs a shell command and returns what it printed on either output; throws with that when it fails. */
  readonly run: (command: string, limitMs?: number) => Promise<string>;
  /**
   * Waits until a shell condition holds, and throws when the time is over. The place itself looks, so that a look costs what the condition does: one
   * from outside takes half a second of an emulated guest's processor. No other command is run in a guest meanwhile.
   */
  readonly waitUntil: (condition: string, options: WaitOptions) => Promise<void>;
  /** A text file's contents, a megabyte a second or so. */
  readonly readFile: (path: string) => Promise<string>;
}

/** dom0's shell. */
export function openDom0Shell(machine: Machine): Shell {
  const name = 'dom0';
  const tryRun = (command: string, limitMs = COMMAND_LIMIT_MS): Promise<Ran> =>
    machine.request({ console: null, command, limitMs });
  const run = runWith(name, tryRun);
  const waitUntil = waitInPlace(name, tryRun);
  const readFile: Shell['readFile'] = async (path) => unpack(await run(`gzip -1 -c ${path} 2>/dev/null | base64`));
  return { name, tryRun, run, waitUntil, readFile };
}

/** Where a guest is reached: its console for commands, and a small disk that it shares with dom0 for files. */
export interface GuestLink {
  readonly name: string;
  readonly console: ConsolePlace;
  /** The disk, as a file in dom0 and as a device in the guest. */
  readonly outbox: { readonly file: string; readonly device: string };
}

/**
 * A guest's shell. It runs one command at a time; others wait for their turn, and their limits begin with it. The console
 * carries some kilobytes a second, so files leave the guest over the disk.
 */
export function openGuestShell(machine: Machine, dom0: Shell, { name, console, outbox }: GuestLink): Shell {
  /** The last command's end. Never rejects. */
  let turn: Promise<unknown> = Promise.resolve();
  const tryRun = (command: string, limitMs = COMMAND_LIMIT_MS): Promise<Ran> => {
    const ran = turn.then(() => machine.request({ console, command, limitMs }));
    turn = ran.catch(() => null);
    return ran;
  };
  const run = runWith(name, tryRun);
  return {
    name,
    tryRun,
    run,
    waitUntil: waitInPlace(name, tryRun),
    readFile: async (path) => {
      const bytes = Number(
        await run(`test -r ${path} && gzip -1 -c ${path} 2>/dev/null | tee ${outbox.device} | wc -c && sync`),
      );
      return unpack(await dom0.run(`head -c ${bytes} ${outbox.file} | base64`));
    },
  };
}

const unpack = (text: string): string => gunzipSync(Buffer.from(text, 'base64')).toString();

function runWith(name: string, tryRun: Shell['tryRun']): Shell['run'] {
  return async (command, limitMs) => {
    const { code, output } = await tryRun(command, limitMs);
    if (code !== 0) throw new Error(`${name}: ${command} ended with ${code}:\n${output}`);
    return output;
  };
}

/** `waitUntil` of the place in which `tryRun` runs commands. */
export function waitInPlace(name: string, tryRun: Shell['tryRun']): Shell['waitUntil'] {
  return async (condition, { what, limitMs, pauseMs = LOOK_PAUSE_MS }) => {
    const loop = `until { ${condition}\n}; do sleep ${pauseMs / 1_000}; done`;
    const { code, output } = await tryRun(loop, limitMs);
    if (code !== 0) throw new Error(`${name}: ${what} did not come within ${limitMs / 1_000} s (${code}): ${output}`);
  };
}

export interface WaitOptions {
  /** For the message when it does not come. */
  readonly what: string;
  readonly limitMs: number;
  readonly pauseMs?: number;
}

/** Looks again and again until `look` finds something else than null, and returns that. Throws when the time is over. */
export async function waitFor<T>(options: WaitOptions, look: () => Promise<T | null>): Promise<T> {
  const until = Date.now() + options.limitMs;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (Date.now() > until) throw new Error(`${options.what} did not come within ${options.limitMs / 1_000} s`);
    await sleep(options.pauseMs ?? LOOK_PAUSE_MS);
  }
}

/** Words as one word of a shell command. */
export const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Writes a small text file. */
export async function writeText(shell: Pick<Shell, 'run'>, path: string, text: string): Promise<void> {
  await shell.run(`printf %s ${quote(text)} > ${path}`);
}
