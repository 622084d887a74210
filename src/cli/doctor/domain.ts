/** Is this a place where self-ballooning may run: what kind of domain, with which balloon driver, and may we move it? */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { HypervisorChoice } from '../../config/index.js';
import { errorText } from '../../errors.js';
import type { XenSituation } from '../../hypervisors/xen-guest/detect.js';
import { XEN_MEMORY } from '../../hypervisors/xen-guest/balloon-files.js';
import { START_UP_ADVICE } from '../daemon/place.js';
import { fail, ok, warn, type Finding } from './finding.js';

export function checkDomain(xen: XenSituation, choice: HypervisorChoice): Finding {
  if (choice === 'embedded') return ok('the configuration chooses the embedded simulated host; nothing real is driven');
  switch (xen.kind) {
    case 'guest':
      return ok(`this is a Xen guest (${xen.seen})`);
    case 'initial-domain':
      return fail(
        `this is the initial domain, dom0 (${xen.seen}), and self-ballooning is disabled there`,
        START_UP_ADVICE['initial-domain'],
      );
    case 'not-xen':
      return choice === 'xen-guest'
        ? fail(`this is not a Xen guest (${xen.seen})`, START_UP_ADVICE['no-guest'])
        : warn(
            `nothing to drive was found (${xen.seen}); run would start the embedded simulated host`,
            `To drive something real: ${START_UP_ADVICE['no-guest']}`,
          );
  }
}

/** The driver's files, and whether this user may write the target. Nothing is written. */
export function checkBalloon(xen: XenSituation, root: string): readonly Finding[] {
  if (xen.kind !== 'guest') return [];
  const folder = join(root, XEN_MEMORY);
  if (!xen.hasBalloon) {
    return [fail(`there is no balloon driver at ${folder}`, 'Use a kernel with CONFIG_XEN_BALLOON')];
  }
  const target = join(folder, 'target_kb');
  try {
    accessSync(target, constants.W_OK);
    return [ok(`the balloon driver is there, and its target may be written`)];
  } catch (error) {
    return [fail(`${target} may not be written (${errorText(error)})`, 'Run as root')];
  }
}
