/** Can the guest be watched between two rounds: does the kernel take the pressure trigger, and is available memory to be read? */
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/index.js';
import { openMemoryGlancer } from '../../signals/memory-glance.js';
import { setTrigger, type SetTrigger } from '../../signals/trigger-file.js';
import { ok, warn, type Finding } from './finding.js';

/** Sets the trigger for a moment, which changes nothing for anybody. `set` is given by tests only. */
export function checkAlarms(
  root: string,
  { isWatched, trigger }: Config['pressure'],
  set: SetTrigger = setTrigger,
): readonly Finding[] {
  if (!isWatched) {
    const advice = 'Set pressure.watch to true, unless you are measuring what it is worth';
    return [warn('nothing is looked at between two rounds (pressure.watch is false)', advice)];
  }
  return [checkTrigger(root, trigger, set), checkAvailable(root)];
}

function checkTrigger(root: string, asked: Config['pressure']['trigger'], set: SetTrigger): Finding {
  const outcome = set(join(root, 'proc', 'pressure', 'memory'), asked);
  if (outcome.kind === 'refused') {
    const advice = 'Without it only MemAvailable is watched between two rounds, which shows a fast demand late';
    return warn(`no pressure trigger can be set: ${outcome.why}`, advice);
  }
  closeSync(outcome.descriptor);
  const { stall, window } = outcome.settings;
  const what = `a pressure trigger can be set: ${stall} ms of waiting within ${window} ms`;
  if (window === asked.window) return ok(what);
  const advice = 'Give the process CAP_SYS_RESOURCE: the kernel checks such a trigger every 2 s only';
  return warn(`${what}, but not ${asked.stall} ms within ${asked.window} ms`, advice);
}

function checkAvailable(root: string): Finding {
  const glancer = openMemoryGlancer(root);
  const seen = glancer.read();
  glancer.close();
  if (seen.known) return ok('available memory can be watched between two rounds');
  return warn(`available memory cannot be watched (${seen.detail})`, 'Use a kernel of version 3.14 or newer');
}
