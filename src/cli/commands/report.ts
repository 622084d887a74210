/** `selfballoon report`: inside a Xen guest, tells the host how this guest is, and changes nothing. */
import type { Config } from '../../config/index.js';
import { SelfballoonError } from '../../errors.js';
import { openBalloonFiles } from '../../hypervisors/xen-guest/balloon-files.js';
import { detectXen } from '../../hypervisors/xen-guest/detect.js';
import { openReportNode } from '../daemon/report-node.js';
import { runReporting } from '../daemon/reporting.js';
import type { ReportFlags } from '../flags.js';

/** Reports until it is told to stop. Returns the exit code. Rejects with `SelfballoonError` where it cannot report at all. */
export function runReporter(flags: ReportFlags): Promise<number> {
  return runReporting(flags, {
    rootOf: ({ xenGuest }) => xenGuest.root,
    triggerOf: ({ pressure }) => pressure.trigger,
    openWay: (config, clock) => {
      requireGuest(config);
      return openReportNode(clock);
    },
    openHeld: openBalloonFiles,
  });
}

function requireGuest({ xenGuest }: Config): void {
  const xen = detectXen(xenGuest.root);
  if (xen.kind === 'guest') return;
  throw new SelfballoonError({
    code: 'ENODEV',
    message: `not started: only a guest of Xen reports, and this is none (${xen.seen})`,
    advice: 'Run it inside the guests. In dom0 run: selfballoon run --hypervisor xen-host',
  });
}
