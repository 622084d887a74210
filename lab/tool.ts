/** Runs tools of the operating system for the lab, each with a time limit and an error that says what it printed. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export interface ToolOptions {
  readonly cwd?: string;
  readonly limitMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

const LIMIT_MS = 120_000;
/** As much of a failed tool's last words as helps. */
const TAIL_LENGTH = 2_000;

/** Runs a tool to its end and returns what it printed. Throws with its last words when it fails or takes too long. */
export function runTool(command: string, args: readonly string[], options: ToolOptions = {}): Promise<string> {
  const { cwd, limitMs = LIMIT_MS, env = {} } = options;
  return new Promise((resolve, reject) => {
    // A group of its own, so that the limit ends all that it has started.
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, LC_ALL: 'C', ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    let [out, all] = ['', ''];
    const fail = (how: string): void => {
      reject(new Error(`${command} ${args.join(' ')} ${how}:\n${all.slice(-TAIL_LENGTH)}`));
    };
    const end = (): void => {
      endGroup(child, 'SIGTERM');
    };
    const settled = (): void => {
      clearTimeout(limit);
      process.off('exit', end);
    };
    // What is typed at a terminal does not reach a group of its own.
    process.once('exit', end);
    const limit = setTimeout(() => {
      settled();
      endGroup(child, 'SIGKILL');
      fail(`did not end within ${limitMs / 1_000} s`);
    }, limitMs);
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      all += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => (all += chunk.toString()));
    child.once('error', (error) => {
      settled();
      reject(error);
    });
    child.once('close', (code, signal) => {
      settled();
      if (code === 0) resolve(out);
      else fail(`ended with ${code ?? signal}`);
    });
  });
}

function endGroup(
  { pid, stdout, stderr }: ChildProcessByStdio<null, Readable, Readable>,
  signal: NodeJS.Signals,
): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // All of it has just ended.
  }
  stdout.destroy();
  stderr.destroy();
}

/** Where a command is on the PATH, or null. */
export function findCommand(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}
