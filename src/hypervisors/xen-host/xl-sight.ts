/** Sees a host's memory through Xen's own tools, where libxenstat cannot be used. Three processes for each look, none after it is closed. */
import { errorText, HypervisorError } from '../../errors.js';
import { closed, lookTooSlow } from './errors.js';
import type { HostSight, SightSource } from './sight.js';
import { runTool, type RunTool } from './tool.js';
import { parseSight } from './xl-text.js';

const WORDS = {
  description: 'the tools xl and xentop',
  ifSlow:
    'Each look starts three processes: install libxenstat and set xen_host.sight to "libxenstat", which starts none; ' +
    'or see what keeps dom0 busy',
};

/** Nothing is run before the first look. `tool` is given by tests only. */
export function openXlSight(tool: RunTool = runTool): SightSource {
  const ending = new AbortController();
  return {
    ...WORDS,
    async look(signal) {
      if (ending.signal.aborted) throw closed();
      const stopping = new AbortController();
      const stop = (): void => {
        stopping.abort();
      };
      if (signal.aborted) stop();
      // Not `AbortSignal.any`: it has kept what it made alive for as long as the signal that never ends.
      const ends = [signal, ending.signal];
      for (const end of ends) end.addEventListener('abort', stop, { once: true });
      try {
        return await look(tool, stopping.signal);
      } finally {
        for (const end of ends) end.removeEventListener('abort', stop);
        // Where one of them failed another may still run.
        stop();
      }
    },
    close: () => {
      ending.abort();
      return Promise.resolve();
    },
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
