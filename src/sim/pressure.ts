/**
 * Pressure stall information: the share of time in which some, or all, tasks waited for memory, averaged over 10 s as the
 * kernel does it. It gets seconds of waiting, summed over tasks, and knows nothing of what was waited for.
 */

/** The average's length; the kernel's `avg10`. */
const AVERAGE_SECONDS = 10;
/** An average below this is 0 for anyone who reads two decimals. */
const PERCENT_SEEN = 0.005;

export class PressureMeter {
  somePercent = 0;
  fullPercent = 0;

  /**
   * In the last `seconds`, `tasks` runnable tasks waited `stalledSeconds` in all. Waits fall on tasks and times at random:
   * then nobody waits for e^(−share) of the time, and all wait for the product of each one's share.
   */
  observe(stalledSeconds: number, seconds: number, tasks: number): void {
    if (stalledSeconds === 0 && this.somePercent === 0) return;
    const share = stalledSeconds / seconds;
    const keep = Math.exp(-seconds / AVERAGE_SECONDS);
    const some = 100 * (1 - Math.exp(-share));
    const full = 100 * (1 - Math.exp(-share / tasks)) ** tasks;
    this.somePercent = seen(this.somePercent * keep + some * (1 - keep));
    this.fullPercent = seen(this.fullPercent * keep + full * (1 - keep));
  }
}

const seen = (percent: number): number => (percent < PERCENT_SEEN ? 0 : percent);
