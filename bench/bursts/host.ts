/** The daemon that has to notice a burst: the built program on the guest's monitor, with somebody listening in between. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WireTap } from '../../lab/qemu/wire-tap.js';
import { request } from '../../src/server/client.js';
import type { Status } from '../../src/server/status.js';
import { Daemon } from '../host/daemon.js';
import type { Setting } from './settings.js';

const PAGES_PER_MIB = 256;
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

export class BurstHost {
  readonly #tap: WireTap;
  readonly #daemon: Daemon;
  readonly #socket: string;
  readonly #journal: string;

  private constructor(
    tap: WireTap,
    files: { readonly config: string; readonly socket: string; readonly journal: string },
  ) {
    this.#tap = tap;
    this.#socket = files.socket;
    this.#journal = files.journal;
    this.#daemon = new Daemon(files.config);
  }

  /** Starts it on `monitor`. */
  static async start(folder: string, monitor: string, setting: Setting): Promise<BurstHost> {
    const file = (name: string): string => join(folder, `daemon.${name}`);
    const tap = await WireTap.open({ listen: file('tap'), target: monitor });
    const files = { config: file('toml'), socket: file('sock'), journal: file('journal') };
    rmSync(files.journal, { force: true });
    writeFileSync(files.config, configFor(setting, { ...files, monitor: file('tap') }));
    return new BurstHost(tap, files);
  }

  /** The sizes that the guest's balloon was asked for so far, the newest last. */
  get asked(): readonly Asked[] {
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
      await this.#tap.close();
    }
  }
}

const sizeIn = (args: unknown): number => Number((args as { readonly value?: unknown } | null)?.value);

interface JournalLine {
  readonly events?: readonly {
    readonly kind: string;
    readonly alarm?: { readonly at: number; readonly cause: string };
  }[];
}

/** The alarms in one line of a journal. The daemon's clock is the time of day at its start, counted on; so is this process's. */
export function alarmsIn(line: string): readonly Alarmed[] {
  if (!line.includes('guest-alarm')) return [];
  const { events = [] } = JSON.parse(line) as JournalLine;
  return events.flatMap(({ alarm }) =>
    alarm === undefined ? [] : [{ atMs: alarm.at - performance.timeOrigin, cause: alarm.cause }],
  );
}

interface Files {
  readonly socket: string;
  readonly journal: string;
  readonly monitor: string;
}

/** Memory is taken in one step, so that the guest is soon as small as the rule has it; how it gets some does not depend on that. */
const configFor = (
  { hasAgent, intervalMs }: Setting,
  { socket, journal, monitor }: Files,
): string => `hypervisor = "qmp"
socket = ${JSON.stringify(socket)}
[journal]
path = ${JSON.stringify(journal)}
[tunables]
selfballoon_interval = ${intervalMs / 1_000}
selfballoon_downhysteresis = 1
[qmp]
sockets = [${JSON.stringify(monitor)}]
reserve_mib = 64
own_agent = ${String(hasAgent)}
`;
