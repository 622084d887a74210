/** What the daemon in dom0 shows of itself, as far as tests look at it. */
import type { Dom0 } from '../../../lab/xen/dom0.js';
import { selfballoon } from './commands.js';

export interface ShownStatus {
  /** Counts what has happened. */
  readonly version: number;
  readonly hosts: readonly { readonly freePages: number | null }[];
  readonly guests: readonly {
    readonly name: string;
    readonly phase: string;
    readonly currentPages: number | null;
    readonly why: string;
    readonly reading: { readonly refusal: string | null } | null;
  }[];
}

export async function statusOf(dom0: Dom0): Promise<ShownStatus> {
  return JSON.parse(await selfballoon(dom0, 'status --json')) as ShownStatus;
}
