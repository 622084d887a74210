/** What the host and the agent in dom0 say to each other over the virtio port: one JSON object a line. */

export const PORT_NAME = 'org.selfballoon.lab';

/** Where a guest's console is. A domain's number is never used again, unlike its terminal's path. */
export interface ConsolePlace {
  readonly domain: number;
  /** A terminal in dom0. */
  readonly tty: string;
}

/** A command for a guest, over its console, or for dom0 where `console` is null. */
export interface LabRequest {
  readonly id: number;
  readonly console: ConsolePlace | null;
  readonly command: string;
  readonly limitMs: number;
}

/** How a command ended. */
export interface Ran {
  /** Its exit code, or `CODE_OUT_OF_TIME`, or `CODE_UNREACHABLE`. */
  readonly code: number;
  /** Standard output and standard error together. */
  readonly output: string;
}

/** As `timeout` of coreutils. */
export const CODE_OUT_OF_TIME = 124;
export const CODE_UNREACHABLE = 125;

export type LabAnswer =
  | (Ran & { readonly id: number })
  /** Not asked for: the agent is there, and knows of no question asked before. */
  | { readonly id: 0; readonly hello: string };
