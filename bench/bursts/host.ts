/**
 * The daemon that has to notice a burst: the built program on the guest's monitor, with somebody listening in between, or on its libvirt,
 * where only the daemon's journal tells what was asked for.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WireTap } from '../../lab/qemu/wire-tap.js';
import { request } from '../../src/server/client.js';
import type { Status } from '../../src/server/status.js';
import { PAGES_PER_MIB } from '../../src/units.js';
import { Daemon } from '../host/daemon.js';
import type { Place } from './guest.js';
import type { Setting } from './settings.js';

const MIB = 2 ** 20;

export interface Alarmed {
  /** `performance.now()` of this process. */
  readonly atMs: number;
  readonly cause: string;
}

export interface Asked {
  /** `performance.now()` of this process. */
  readonly atMs: number;
  /** What the guest should hold. */
  readonly mib: number;
}

/** Where the daemon finds its guest, as its configuration says it. */
interface Reached {
  readonly section: string;
  /** Sees the commands on their way; null: nobody can. */
  readonly tap: WireTap | null;
}

async function reach(place: Place, folder: string): Promise<Reached> {
  if (place.kind === 'libvirt') return { section: `uri = ${JSON.stringify(place.uri)}`, tap: null };
  const listen = join(folder, 'daemon.tap');
  const tap = await WireTap.open({ listen, target: place.monitor });
  return { section: `sockets = [${JSON.stringify(listen)}]`, tap };
}

export class BurstHost {
  readonly #tap: WireTap | null;
  readonly #daemon: Daemon;
  readonly #socket: string;
  readonly #journal: string;

  private constructor(
    tap: WireTap | null,
    files: { readonly config: string; readonly socket: string; readonly journal: string },
  ) {
    this.#tap = tap;
    this.#socket = files.socket;
    this.#journal = files.journal;
    this.#daemon = new Daemon(files.config);
  }

  /** Starts it on the guest that is there. */
  static async start(folder: string, place: Place, setting: Setting): Promise<BurstHost> {
    const file = (name: string): string => join(folder, `daemon.${name}`);
    const { section, tap } = await reach(place, folder);
    const files = { config: file('toml'), socket: file('sock'), journal: file('journal') };
    rmSync(files.journal, { force: true });
    writeFileSync(files.config, configFor(setting, { ...files, section }));
    return new BurstHost(tap, files);
  }

  /**
   * The sizes that the guest's balloon was asked for so far, the newest last: when the command went over the wire, or where that is not
   * seen when it had been carried out.
   */
  get asked(): readonly Asked[] {
    if (this.#tap === null) return existsSync(this.#journal) ? carriedOutIn(readFileSync(this.#journal, 'utf8')) : [];
    return this.#tap.commands('balloon').map(({ atMs, args }) => ({ atMs, mib: sizeIn(args) / MIB }));
  }

  /** What the guest holds, in MiB, as the daemon last saw it; null while it has not. */
  async heldMib(): Promise<number | null> {
    try {
      const { body } = await request(this.#socket, 'GET', '/v1/status');
      const current = (JSON.parse(body) as Status).guests[0]?.currentPages ?? null;
      return current === null ? null : current / PAGES_PER_MIB;
    } catch {
      return null;
    }
  }

  /** The first alarm that the daemon heard after `fromMs`, by its journal; null = none. */
  alarmAfter(fromMs: number): Alarmed | null {
    const lines = readFileSync(this.#journal, 'utf8').split('\n');
    return lines.flatMap(alarmsIn).find(({ atMs }) => atMs >= fromMs) ?? null;
  }

  /** Rejects when the daemon ends. */
  failure(): Promise<never> {
    return this.#daemon.failure();
  }

  /** Ends the daemon, which gives everything back. */
  async close(): Promise<void> {
    try {
      await this.#daemon.end();
    } finally {
      this.#daemon.kill();
      await this.#tap?.close();
    }
  }
}

const sizeIn = (args: unknown): number => Number((args as { readonly value?: unknown } | null)?.value);

interface JournalLine {
  readonly at: number;
  readonly events?: readonly {
    readonly kind: string;
    readonly id?: number;
    readonly alarm?: { readonly at: number; readonly cause: string };
  }[];
  readonly actions?: readonly { readonly kind: string; readonly id?: number; readonly target?: number }[];
}

/** The alarms in one line of a journal. The daemon's clock is the time of day at its start, counted on; so is this process's. */
export function alarmsIn(line: string): readonly Alarmed[] {
  if (!line.includes('guest-alarm')) return [];
  const { events = [] } = JSON.parse(line) as JournalLine;
  return events.flatMap(({ alarm }) =>
    alarm === undefined ? [] : [{ atMs: alarm.at - performance.timeOrigin, cause: alarm.cause }],
  );
}

/** The targets in a journal that were carried out, each with the time at which the daemon heard that. */
export function carriedOutIn(journal: string): readonly Asked[] {
  const targets = new Map<number, number>();
  // The last line may not be written to its end yet.
  const lines = journal.split('\n').slice(0, -1);
  return lines.flatMap((line) => {
    if (!line.includes('"set-target"') && !line.includes('"action-done"')) return [];
    const { at, events = [], actions = [] } = JSON.parse(line) as JournalLine;
    const done = events.flatMap(({ kind, id }) =>
      kind === 'action-done' && id !== undefined ? [targets.get(id)] : [],
    );
    for (const { id, target } of actions) if (id !== undefined && target !== undefined) targets.set(id, target);
    return done.flatMap((target) =>
      target === undefined ? [] : [{ atMs: at - performance.timeOrigin, mib: target / PAGES_PER_MIB }],
    );
  });
}

interface Files {
  readonly socket: string;
  readonly journal: string;
  readonly section: string;
}

/** Memory is taken in one step, so that the guest is soon as small as the rule has it; how it gets some does not depend on that. */
const configFor = (
  { over, hasAgent, intervalMs }: Setting,
  { socket, journal, section }: Files,
): string => `hypervisor = "${over}"
socket = ${JSON.stringify(socket)}
[journal]
path = ${JSON.stringify(journal)}
[tunables]
selfballoon_interval = ${intervalMs / 1_000}
selfballoon_downhysteresis = 1
[${over}]
${section}
reserve_mib = 64
own_agent = ${String(hasAgent)}
`;
