/** What a guest's load program says, line by line; see `lab/guest/load/main.c`. */

const KINDS = [
  'began',
  'took',
  'read',
  'holds',
  'failed',
  'killed',
  'released',
  'refused',
  'look',
  'clock',
  'stall',
] as const;

export type ReportKind = (typeof KINDS)[number];

export interface LoadReport {
  readonly kind: ReportKind;
  /** The load's, or the question's. */
  readonly id: number;
  /** µs of the guest's monotonic clock. */
  readonly at: number;
  /** This process's `performance.now()` when the line came. */
  readonly heardMs: number;
  /** What is held, or was read, in all. */
  readonly mib?: number;
  /** How long a step, or one reading of the file, took. */
  readonly tookUs?: number;
  readonly times?: number;
  readonly signal?: number;
  readonly why?: string;
  /** Of a stall: the last moment at which nobody had waited, and how long somebody had by `at`. */
  readonly since?: number;
  readonly stalledUs?: number;
  readonly vmstat?: string;
  readonly meminfo?: string;
  readonly pressure?: string;
}

/** Null for a line that is no report: the guest's end of the port may have been opened in the middle of one. */
export function parseReport(line: string): LoadReport | null {
  try {
    const report = JSON.parse(line) as LoadReport;
    return KINDS.includes(report.kind) ? { ...report, heardMs: performance.now() } : null;
  } catch {
    return null;
  }
}

/** One look at what a guest's kernel counts. Each function throws for what this kernel does not count. */
export interface Look {
  /** When, in µs of the guest's monotonic clock. */
  readonly at: number;
  /** Of /proc/vmstat: `oom_kill`, `pgmajfault`, `workingset_refault_file` and so on. */
  readonly count: (name: string) => number;
  /** Of /proc/meminfo, in KiB. */
  readonly kib: (name: string) => number;
  /** For how long some task, or all of them, have waited for memory since boot, in µs. */
  readonly stalledUs: (who: 'some' | 'full') => number;
}

export function readLook({ at, vmstat = '', meminfo = '', pressure = '' }: LoadReport): Look {
  return {
    at,
    count: (name) => numberIn(vmstat, new RegExp(`^${name} (\\d+)$`, 'm')),
    kib: (name) => numberIn(meminfo, new RegExp(`^${name}: +(\\d+) kB$`, 'm')),
    stalledUs: (who) => numberIn(pressure, new RegExp(`^${who} .*total=(\\d+)$`, 'm')),
  };
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`the guest does not count ${String(pattern)}; it counts:\n${text}`);
  return Number(found);
}
