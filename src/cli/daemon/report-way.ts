/** How a guest's reports travel to its host. */

export interface ReportWay {
  /** For people: through what. */
  readonly description: string;
  /** Whether alarms keep the pace of reports: the host reads no more often. */
  readonly alarmsWait: boolean;
  /** Puts a report where the host finds it. Rejects when it did not get there, also when `signal` is aborted. */
  readonly publish: (text: string, signal: AbortSignal) => Promise<void>;
  /** Lets the host know that no more come, so that it does not wait. Takes 5 s at most, and never rejects. */
  readonly leave: () => Promise<void>;
  readonly close: () => Promise<void>;
}
