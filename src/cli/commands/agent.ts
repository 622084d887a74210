/** `selfballoon agent`: inside a guest of QEMU, tells the host how this guest is, and changes nothing. */
import { millis } from '../../units.js';
import { findPort } from '../daemon/find-port.js';
import { openReportPort } from '../daemon/report-port.js';
import { runReporting } from '../daemon/reporting.js';
import type { AgentFlags } from '../flags.js';

/** A host may connect at any time, and nobody says so; a try costs a look at `/proc` and a write that is refused. */
const RETRY_MAX = millis(1_000);

/** Reports until it is told to stop. Returns the exit code. Rejects with `SelfballoonError` where it cannot report at all. */
export function runAgent(flags: AgentFlags): Promise<number> {
  return runReporting(flags, {
    rootOf: ({ agent }) => agent.root,
    triggerOf: ({ agent }) => agent.trigger,
    openWay: ({ agent }, clock) => openReportPort({ find: () => agent.port ?? findPort(agent.root), clock }),
    retryMax: RETRY_MAX,
  });
}
