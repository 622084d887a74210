/** Runs a shell command in dom0, bounded in time and output, with all that it started. */
import { spawn } from 'node:child_process';
import { CODE_OUT_OF_TIME, CODE_UNREACHABLE, type Ran } from '../protocol.js';

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Resolves when the command has ended, or when `limitMs` is over and it has been killed. Never rejects. */
export function runHere(command: string, limitMs: number): Promise<Ran> {
  return new Promise((resolve) => {
    // A group of its own, so that a limit ends all of it.
    const child = spawn('/bin/sh', ['-c', `{ ${command}\n} 2>&1`], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (code: number): void => {
      clearTimeout(timer);
      child.stdout.destroy();
      resolve({ code, output: Buffer.concat(chunks).toString() });
    };
    const timer = setTimeout(() => {
      killGroup(child.pid);
      end(CODE_OUT_OF_TIME);
    }, limitMs);
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= OUTPUT_BYTES_MAX) chunks.push(chunk);
    });
    child.once('error', (error) => {
      resolve({ code: CODE_UNREACHABLE, output: String(error) });
    });
    child.once('close', (code) => {
      end(code ?? CODE_UNREACHABLE);
    });
  });
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself meanwhile.
  }
}
