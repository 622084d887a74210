/** What the host and the agent in dom0 say to each other over the virtio port: one JSON object a line. */

export const PORT_NAME = 'org.selfballoon.lab';

export type LabRequest =
  /** Runs a command in dom0. */
  | { readonly id: number; readonly kind: 'dom0'; readonly command: string; readonly limitMs: number }
  /** Runs a command in a guest, over its console. */
  | {
      readonly id: number;
      readonly kind: 'guest';
      readonly guest: string;
      readonly command: string;
      readonly limitMs: number;
    };

export type LabAnswer =
  | { readonly id: number; readonly code: number; readonly output: string }
  /** Not asked for: the agent is there. */
  | { readonly id: 0; readonly hello: string };
