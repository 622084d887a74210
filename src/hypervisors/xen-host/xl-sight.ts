/** Sees a host's memory through Xen's own tools, where libxenstat cannot be used. Three processes for each look. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errorText, HypervisorError } from '../../errors.js';
import { lookTooSlow } from './errors.js';
import type { HostSight, SightSource } from './sight.js';
import { parseSight } from './xl-text.js';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
const WORDS = {
  description: 'the tools xl and xentop',
  ifSlow:
    'Each look starts three processes: install libxenstat and set xen_host.sight to "libxenstat", which starts none; ' +
    'or see what keeps dom0 busy',
};

/** How a tool is run; it resolves to what it printed. Given by tests only. */
export type RunTool = (command: string, args: readonly string[], signal: AbortSignal) => Promise<string>;

const runTool: RunTool = async (command, args, signal) => {
  const { stdout } = await run(command, [...args], { signal, maxBuffer: OUTPUT_BYTES_MAX, env: PLAIN });
  return stdout;
};

/** Their words and numbers must not depend on the administrator's language. */
const PLAIN = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };

/** Nothing is run before the first look. */
export function openXlSight(tool: RunTool = runTool): SightSource {
  return {
    ...WORDS,
    look: (signal) => look(tool, signal),
    close: () => Promise.resolve(),
  };
}

async function look(tool: RunTool, signal: AbortSignal): Promise<HostSight> {
  let texts: readonly [string, string, string];
  try {
    const [list, top] = await Promise.all([
      tool('xl', ['list'], signal),
      tool('xentop', ['-b', '-f', '-i', '1'], signal),
    ]);
    // After it: what a guest takes meanwhile must be missing from what is free, and not count twice.
    texts = [await tool('xl', ['info'], signal), list, top];
  } catch (error) {
    if (signal.aborted) throw lookTooSlow(WORDS);
    throw failed(errorText(error), error);
  }
  const [info, list, top] = texts;
  const sight = parseSight({ info, list, top });
  if (!sight.known) throw failed(sight.detail);
  return sight.value;
}

const failed = (why: string, cause?: unknown): HypervisorError =>
  new HypervisorError({
    code: 'EIO',
    message: `${WORDS.description} did not say what the host holds: ${why}`,
    advice: 'Run `xl info`, `xl list` and `xentop -b -i 1` by hand, as root in dom0',
    ...(cause === undefined ? {} : { cause }),
  });
