/** Runs tools of the operating system for the lab, each with a time limit and an error that says what it printed. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

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
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limitMs,
      killSignal: 'SIGKILL',
      env: { ...process.env, LC_ALL: 'C', ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    let [out, all] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      all += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => (all += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(out);
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}:\n${all.slice(-TAIL_LENGTH)}`));
    });
  });
}

/** Where a command is on the PATH, or null. */
export function findCommand(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}
