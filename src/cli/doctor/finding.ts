/** What the doctor finds. */

export interface Finding {
  /** `fail` keeps the daemon from its job here; `warn` makes it less safe or less useful. */
  readonly level: 'ok' | 'warn' | 'fail';
  readonly what: string;
  /** What to do. Null when nothing needs doing. */
  readonly advice: string | null;
}

export const ok = (what: string): Finding => ({ level: 'ok', what, advice: null });
export const warn = (what: string, advice: string): Finding => ({ level: 'warn', what, advice });
export const fail = (what: string, advice: string): Finding => ({ level: 'fail', what, advice });
