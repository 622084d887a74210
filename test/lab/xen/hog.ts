/** The memory hog in a guest: a process that takes memory, checks it, and says what became of it. */
import type { Background } from '../../../lab/xen/background.js';
import type { XenGuest } from '../../../lab/xen/guest.js';

export interface HogOptions {
  readonly name: string;
  readonly mib: number;
  readonly stepMib: number;
  readonly everyMs: number;
  /** It takes nothing before it gets the signal USR1. */
  readonly waits?: boolean;
  /** A control group for it, made here. */
  readonly cgroup?: string;
}

/** A line of its report. `at` is the guest's time of day in milliseconds. */
export interface HogLine {
  readonly kind: 'waits' | 'began' | 'took' | 'holds' | 'checked' | 'allocation-failed';
  readonly at: number;
  readonly mib: number;
  readonly damaged?: number;
}

export interface Hog extends Background {
  lines(): Promise<readonly HogLine[]>;
  /** Waits for the line of that kind number `count` (default: the first), and returns it. */
  waitForLine(kind: HogLine['kind'], count?: number): Promise<HogLine>;
  /** Has it check all that it holds: resolves to how many blocks are damaged. */
  check(): Promise<number>;
}

const LINE_LIMIT_MS = 300_000;

export async function startHog(guest: XenGuest, options: HogOptions): Promise<Hog> {
  const { name, mib, stepMib, everyMs, waits = false, cgroup } = options;
  const hog = `node /app/lab/guest/memory-hog.js ${mib} ${stepMib} ${everyMs}${waits ? ' wait' : ''}`;
  const folder = `/sys/fs/cgroup/${cgroup ?? ''}`;
  if (cgroup !== undefined)
    await guest.run(`echo +memory > /sys/fs/cgroup/cgroup.subtree_control && mkdir -p ${folder}`);
  const command = cgroup === undefined ? hog : `sh -c 'echo $$ > ${folder}/cgroup.procs && exec ${hog}'`;
  const program = await guest.startProgram(command, name);
  const lines = async (): Promise<readonly HogLine[]> => parse(await program.log());
  const waitForLine = async (kind: HogLine['kind'], count = 1): Promise<HogLine> => {
    const log = await program.waitForLog(`"kind":"(${kind}|allocation-failed)"`, LINE_LIMIT_MS, count);
    const all = parse(log);
    const line = all.filter((one) => one.kind === kind)[count - 1];
    if (line !== undefined && all.every((one) => one.kind !== 'allocation-failed')) return line;
    throw new Error(`the hog ${name} is gone or got no memory: ${JSON.stringify(all.at(-1))}`);
  };
  return {
    ...program,
    lines,
    waitForLine,
    check: async () => {
      const before = (await lines()).filter(({ kind }) => kind === 'checked').length;
      await program.signal('USR2');
      return (await waitForLine('checked', before + 1)).damaged ?? NaN;
    },
  };
}

function parse(log: string): readonly HogLine[] {
  const lines = log.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
  return lines.map((line) => JSON.parse(line) as HogLine);
}
