/** Runs one of Xen's tools to its end, and gives what it printed. It does not know what the words mean. */
import { spawn, type ChildProcess } from 'node:child_process';
import { quoted } from '../../errors.js';
import { unlessAborted } from '../../waiting/abort.js';

/** How a tool is run; it resolves to what it printed. */
export type RunTool = (command: string, args: readonly string[], signal: AbortSignal) => Promise<string>;

const OUTPUT_CHARACTERS_MAX = 4 * 1024 * 1024;
const COMPLAINT_CHARACTERS_MAX = 300;

/** Their words and numbers must not depend on the administrator's language. */
const PLAIN = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };

/**
 * In a process group of its own: Ctrl-C at a terminal goes to all of the daemon's, and the look with which everything is given back
 * must not fail for it. So whatever ends the wait, or this process, ends the group.
 */
export const runTool: RunTool = async (command, args, signal) => {
  signal.throwIfAborted();
  const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'], env: PLAIN, detached: true });
  const kill = (): void => {
    killGroup(child);
  };
  process.once('exit', kill);
  try {
    const line = [command, ...args].join(' ');
    return await unlessAborted(outputOf(child, line), signal, () => new Error(`${line} was not finished in time`));
  } catch (error) {
    kill();
    throw error;
  } finally {
    process.off('exit', kill);
  }
};

function outputOf(child: ChildProcess, line: string): Promise<string> {
  let [output, complaint] = ['', ''];
  return new Promise((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.length > OUTPUT_CHARACTERS_MAX) reject(new Error(`${line} does not stop printing`));
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint = `${complaint}${text}`.slice(0, COMPLAINT_CHARACTERS_MAX);
    });
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${line} ended with ${code ?? killedBy}: ${quoted(complaint.trim())}`));
    });
  });
}

/** Its children too. Where it could not be started, or the last of them is gone, there is nobody to kill. */
function killGroup({ pid, stdout, stderr }: ChildProcess): void {
  stdout?.destroy();
  stderr?.destroy();
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
