/** The configuration as the program uses it: complete, in the program's own units, and frozen. */
import * as v from 'valibot';
import { NO_LIMITS, type GuestLimits, type LimitsByName } from '../control/limits.js';
import { DEFAULT_TUNABLES, writeTunable, type Tunables } from '../control/tunables.js';
import { mib, mibToPages, millis, NO_PAGES, type MiB, type Millis, type Pages } from '../units.js';
import type { HYPERVISORS, LOG_FORMATS, LOG_LEVELS, XEN_SIGHTS } from './choices.js';
import { CONFIG_SCHEMA, type WrittenConfig } from './schema.js';

export type HypervisorChoice = (typeof HYPERVISORS)[number];
export type XenSight = (typeof XEN_SIGHTS)[number];
export type LogFormat = (typeof LOG_FORMATS)[number];
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Tasks have waited for memory for `stall` in all, within `window`. */
export interface PressureTrigger {
  readonly stall: Millis;
  readonly window: Millis;
}

const TRIGGER: PressureTrigger = { stall: millis(100), window: millis(1_000) };
/** For a host that cannot see the guest otherwise between two rounds (docs/decisions/0013). */
const AGENT_TRIGGER: PressureTrigger = { stall: millis(20), window: millis(500) };

/** Every setting, with its default where nobody gave one. The reference page of the configuration says what each does. */
export interface Config {
  readonly hypervisor: HypervisorChoice;
  readonly isDryRun: boolean;
  /** Null: the default place. */
  readonly socketPath: string | null;
  /** All of them; those that nobody set have the product's defaults. */
  readonly tunables: Tunables;
  readonly journal: {
    /** Null: no journal is kept. */
    readonly path: string | null;
    /** Size at which a new file is begun. */
    readonly maxMib: MiB;
    readonly files: number;
  };
  readonly log: { readonly format: LogFormat; readonly level: LogLevel };
  readonly embedded: {
    /** Simulated seconds in one real second, 0.1 to 10,000. */
    readonly speed: number;
    /** 0 to 4294967295. */
    readonly seed: number;
    readonly hostMib: MiB;
    readonly showThisMachine: boolean;
  };
  readonly overflow: {
    /** Paths of swap devices, highest priority first. */
    readonly devices: readonly string[];
    readonly reserve: Pages;
  };
  readonly pressure: {
    /** The guest is watched between two rounds. */
    readonly isWatched: boolean;
    readonly trigger: PressureTrigger;
  };
  readonly xenGuest: { readonly root: string };
  readonly xenHost: {
    /** The path of xenstored's socket. */
    readonly socket: string;
    readonly sight: XenSight;
    /** Never promised to a guest. */
    readonly reserve: Pages;
    readonly isDom0Driven: boolean;
    /** Least that dom0 is ever set to. */
    readonly dom0Min: Pages;
  };
  readonly qmp: {
    /** Paths, folders or patterns of monitors' sockets. */
    readonly sockets: readonly string[];
    /** Never promised to a guest. */
    readonly reserve: Pages;
    /** QEMU's guest agent is asked, where a machine has a port for it. */
    readonly asksAgent: boolean;
    /** Our own agent is heard, where a machine has a port for it. */
    readonly hearsOwn: boolean;
  };
  readonly libvirt: {
    /** What virsh connects to, on this host. */
    readonly uri: string;
    /** Never promised to a guest. */
    readonly reserve: Pages;
    /** QEMU's guest agent is asked, where a domain has a channel for it. */
    readonly asksAgent: boolean;
    /** Our own agent is heard, where a domain has a channel for it. */
    readonly hearsOwn: boolean;
  };
  readonly agent: {
    /** Null: the port is looked for by its name. */
    readonly port: string | null;
    readonly root: string;
    /** As in `pressure`, with defaults of its own where nothing of it was given. */
    readonly trigger: PressureTrigger;
  };
  /** By the guests' names or ids. To be asked with `limitsFor`: a guest may be called as what every object has. */
  readonly guestLimits: LimitsByName;
}

/** Checked values by their keys' names, without those of guests. */
export type Written = Readonly<Record<string, unknown>>;

/** Fills in the defaults and converts units. `written` has been checked. */
export function makeConfig(written: Written, guestLimits: ReadonlyMap<string, GuestLimits>): Config {
  const config = v.parse(CONFIG_SCHEMA, written);
  return deepFreeze({
    hypervisor: config.hypervisor,
    isDryRun: config.dry_run,
    socketPath: config.socket ?? null,
    tunables: tunablesOf(config.tunables),
    journal: { path: config.journal.path ?? null, maxMib: mib(config.journal.max_mib), files: config.journal.files },
    log: config.log,
    ...partsOf(config),
    guestLimits: Object.fromEntries(guestLimits),
  });
}

type Parts = Pick<Config, 'embedded' | 'overflow' | 'pressure' | 'xenGuest' | 'xenHost' | 'qmp' | 'libvirt' | 'agent'>;

function partsOf({ embedded, overflow, pressure, xen_guest, xen_host, qmp, libvirt, agent }: WrittenConfig): Parts {
  return {
    embedded: {
      speed: embedded.speed,
      seed: embedded.seed,
      hostMib: mib(embedded.host_mib),
      showThisMachine: embedded.show_this_machine,
    },
    overflow: { devices: overflow.devices, reserve: mibToPages(mib(overflow.reserve_mib)) },
    pressure: { isWatched: pressure.watch, trigger: triggerOf(pressure, TRIGGER) },
    xenGuest: xen_guest,
    xenHost: xenHostOf(xen_host),
    qmp: {
      sockets: qmp.sockets,
      reserve: mibToPages(mib(qmp.reserve_mib)),
      asksAgent: qmp.guest_agent,
      hearsOwn: qmp.own_agent,
    },
    libvirt: {
      uri: libvirt.uri,
      reserve: mibToPages(mib(libvirt.reserve_mib)),
      asksAgent: libvirt.guest_agent,
      hearsOwn: libvirt.own_agent,
    },
    agent: { port: agent.port ?? null, root: agent.root, trigger: triggerOf(pressure, AGENT_TRIGGER) },
  };
}

/** The defaults hold as a pair: half of one with half of what was given would be a trigger that nobody meant. */
function triggerOf(
  { stall_ms: stall, window_ms: window }: WrittenConfig['pressure'],
  ofNothingGiven: PressureTrigger,
): PressureTrigger {
  if (stall === undefined && window === undefined) return ofNothingGiven;
  return {
    stall: stall === undefined ? TRIGGER.stall : millis(stall),
    window: window === undefined ? TRIGGER.window : millis(window),
  };
}

const xenHostOf = (written: WrittenConfig['xen_host']): Config['xenHost'] => ({
  socket: written.socket,
  sight: written.sight,
  reserve: mibToPages(mib(written.reserve_mib)),
  isDom0Driven: written.drive_dom0,
  dom0Min: mibToPages(mib(written.dom0_min_mib)),
});

function tunablesOf(written: WrittenConfig['tunables']): Tunables {
  let tunables = DEFAULT_TUNABLES;
  for (const [name, value] of Object.entries(written)) {
    if (value === undefined) continue;
    const outcome = writeTunable(tunables, { name, text: String(value), mayChange: true, hasFrontswap: true });
    if (outcome.result !== 'ok') throw new Error(`the schema let through what ${name} does not take: ${outcome.why}`);
    tunables = outcome.tunables;
  }
  return tunables;
}

/** A guest's limits as written; null = not written. */
export function guestLimitsOf(minMib: number | null, maxMib: number | null): GuestLimits {
  return {
    floor: minMib === null ? NO_PAGES : mibToPages(mib(minMib)),
    ceiling: maxMib === null ? NO_LIMITS.ceiling : mibToPages(mib(maxMib)),
  };
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  }
  return Object.freeze(value);
}
