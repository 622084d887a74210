/** The flags of `run`, and the configuration that they stand for. */
import { resolve } from 'node:path';
import type { BootOption } from '../control/boot-options.js';

export interface RunFlags {
  readonly config?: string;
  readonly hypervisor?: string;
  readonly dryRun?: boolean;
  readonly speed?: string;
  readonly seed?: string;
  readonly socket?: string;
  readonly journal?: string;
  readonly logFormat?: string;
  readonly logLevel?: string;
  /** False: one line a round even on a terminal. */
  readonly table?: boolean;
  readonly bootOptions: readonly BootOption[];
}

/** The flags of `report`: those of `run` that it has. */
export type ReportFlags = Pick<RunFlags, 'config' | 'logFormat' | 'logLevel'>;

/** The flags of `agent`. */
export type AgentFlags = ReportFlags & { readonly port?: string };

type Tree = Record<string, unknown>;

/** Nested as in the configuration file, without what was not given. */
export function configFlags(flags: RunFlags & AgentFlags): Tree {
  return withoutAbsent({
    hypervisor: flags.hypervisor,
    dry_run: flags.dryRun,
    socket: absolute(flags.socket),
    embedded: withoutAbsent({ speed: flags.speed, seed: flags.seed }),
    agent: withoutAbsent({ port: absolute(flags.port) }),
    journal: withoutAbsent({ path: absolute(flags.journal) }),
    log: withoutAbsent({ format: flags.logFormat, level: flags.logLevel }),
  });
}

/** Whoever types a relative path means it from where he stands. */
const absolute = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(path));

function withoutAbsent(tree: Tree): Tree {
  return Object.fromEntries(Object.entries(tree).filter(([, value]) => value !== undefined && !isEmpty(value)));
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
