/**
 * Has a guest use memory in a given way, over the serial port of its load program (`lab/guest/load/main.c`), and hears what became
 * of it.
 *
 *     const need = await guest.load.anonymous(300);
 *     await need.until('holds');
 *     await need.release();
 */
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { guestClock, type GuestClock } from './guest-clock.js';
import { parseReport, readLook, type Look, type LoadReport, type ReportKind } from './load-report.js';
import { connectPort, trouble, within, type Watched } from './waiting.js';

/** How fast memory is taken: in one go, evenly, or in steps of so much, one each so many milliseconds. */
export type Pace =
  | { readonly kind: 'at-once' }
  | { readonly kind: 'ramp'; readonly mibPerS: number }
  | { readonly kind: 'steps'; readonly stepMib: number; readonly everyMs: number };

export interface Reading {
  /** Of the file's beginning. */
  readonly mib: number;
  readonly file: string;
  /** Default: until it is stopped. */
  readonly times?: number;
  /** From the beginning of one reading to that of the next; default 0: one right after the other. */
  readonly everyMs?: number;
}

export interface StallWatch {
  readonly everyMs: number;
  /** Less waiting than this is no stall. */
  readonly stallMs: number;
}

/** An emulated guest that is short of memory takes its time. */
const ANSWER_LIMIT_MS = 60_000;
const UNTIL_LIMIT_MS = 120_000;
/** Of one load; the oldest go first. */
const REPORTS_MAX = 5_000;
/** An even ramp is made of so many steps a second. */
const RAMP_STEPS_PER_S = 20;
const CLOCK_TRIES = 8;

type Listener = (report: LoadReport) => void;

export class GuestLoad {
  readonly #socket: Socket;
  readonly #guest: Watched;
  readonly #listeners = new Map<number, Listener>();
  #lastId = 0;

  private constructor(socket: Socket, guest: Watched) {
    this.#socket = socket;
    this.#guest = guest;
    createInterface({ input: socket })
      .on('line', (line) => {
        const report = parseReport(line);
        if (report !== null) this.#listeners.get(report.id)?.(report);
      })
      .on('error', () => undefined);
  }

  /** `path` is the port's socket on the host. */
  static async open(path: string, guest: Watched): Promise<GuestLoad> {
    return new GuestLoad(await connectPort(path, guest), guest);
  }

  /** Memory of a process's own, written to. Resolves when it has begun. */
  anonymous(mib: number, pace?: Pace): Promise<Load> {
    return this.#begin({ do: 'anon', mib, ...stepsOf(mib, pace) });
  }

  /** A file in memory: it stays when its writer is killed, until it is released. */
  tmpfs(mib: number, pace?: Pace): Promise<Load> {
    return this.#begin({ do: 'tmpfs', mib, ...stepsOf(mib, pace) });
  }

  /** Memory that a process is promised and does not touch. */
  commit(mib: number, pace?: Pace): Promise<Load> {
    return this.#begin({ do: 'commit', mib, ...stepsOf(mib, pace) });
  }

  /** A file that is read again and again. */
  cache({ mib, file, times = 0, everyMs = 0 }: Reading): Promise<Load> {
    return this.#begin({ do: 'cache', mib, file, times, pauseMs: everyMs });
  }

  /** What the guest's kernel counts. */
  async look(): Promise<Look> {
    return readLook(await this.#ask('look'));
  }

  /** How the guest's clock and this process's go together, by the quickest of several answers. */
  async clock(): Promise<GuestClock> {
    const clocks: GuestClock[] = [];
    for (let n = 0; n < CLOCK_TRIES; n += 1) {
      const askedMs = performance.now();
      const { at, heardMs } = await this.#ask('clock');
      clocks.push(guestClock({ askedMs, heardMs, at }));
    }
    return clocks.reduce((best, clock) => (clock.uncertaintyMs < best.uncertaintyMs ? clock : best));
  }

  /**
   * From now on tells when the guest begins to wait for memory: a report of kind `stall`, whose `since` is the last moment at which
   * nobody had waited. Costs the guest some of its processor.
   */
  watchStalls({ everyMs, stallMs }: StallWatch, onStall: Listener): void {
    this.#listeners.set(0, (report) => {
      if (report.kind === 'stall') onStall(report);
    });
    this.#send({ do: 'watch', everyMs, stallMs });
  }

  endWatch(): void {
    this.#listeners.delete(0);
    this.#send({ do: 'watch', everyMs: 0 });
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(command: object): void {
    this.#socket.write(`${JSON.stringify(command)}\n`);
  }

  async #begin(command: object): Promise<Load> {
    const id = (this.#lastId += 1);
    const load = new Load(id, this.#guest, (what) => {
      this.#send({ do: what, id });
    });
    this.#listeners.set(id, (report) => {
      load.hear(report);
    });
    this.#send({ ...command, id });
    await load.until('began', ANSWER_LIMIT_MS);
    return load;
  }

  async #ask(what: string): Promise<LoadReport> {
    const id = (this.#lastId += 1);
    const answer = new Promise<LoadReport>((resolve) => this.#listeners.set(id, resolve));
    this.#send({ do: what, id });
    try {
      return await within(this.#guest, answer, { limitMs: ANSWER_LIMIT_MS, what: `the guest's load did not ${what}` });
    } finally {
      this.#listeners.delete(id);
    }
  }
}

/** What cannot be followed by anything but a release. */
const ENDS: readonly ReportKind[] = ['failed', 'killed', 'refused', 'released'];

/** One use of memory in the guest. */
export class Load {
  readonly id: number;
  readonly #guest: Watched;
  readonly #tell: (what: 'stop' | 'release') => void;
  readonly #reports: LoadReport[] = [];
  readonly #waiters: (() => void)[] = [];

  constructor(id: number, guest: Watched, tell: (what: 'stop' | 'release') => void) {
    this.id = id;
    this.#guest = guest;
    this.#tell = tell;
  }

  /** What it has said so far, the newest last. */
  get reports(): readonly LoadReport[] {
    return this.#reports;
  }

  hear(report: LoadReport): void {
    this.#reports.push(report);
    if (this.#reports.length > REPORTS_MAX) this.#reports.shift();
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** The first report of that kind, also one that has come already. Throws when it ends in another way, or when the time is over. */
  until(kind: ReportKind, limitMs = UNTIL_LIMIT_MS): Promise<LoadReport> {
    return within(this.#guest, this.#await(kind), { limitMs, what: `load ${this.id} has not said "${kind}"` });
  }

  /** Takes no more, and keeps what it has. Resolves when it says so. */
  async stop(): Promise<void> {
    this.#tell('stop');
    await this.until('holds');
  }

  /** Gives everything back, also the file of one that was killed. Resolves when it has. */
  async release(): Promise<void> {
    this.#tell('release');
    await this.until('released');
  }

  async #await(kind: ReportKind): Promise<LoadReport> {
    for (;;) {
      const found = this.#reports.find((report) => report.kind === kind);
      if (found !== undefined) return found;
      const end = this.#reports.find((report) => ENDS.includes(report.kind));
      if (end !== undefined && kind !== 'released') {
        throw trouble(this.#guest, `load ${this.id} was to say "${kind}" and said ${JSON.stringify(end)}`);
      }
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }
}

function stepsOf(
  mib: number,
  pace: Pace = { kind: 'at-once' },
): { readonly stepMib: number; readonly pauseMs: number } {
  switch (pace.kind) {
    case 'at-once':
      return { stepMib: mib, pauseMs: 0 };
    case 'ramp': {
      const stepMib = Math.ceil(pace.mibPerS / RAMP_STEPS_PER_S);
      return { stepMib, pauseMs: Math.round((stepMib / pace.mibPerS) * 1_000) };
    }
    case 'steps':
      return { stepMib: pace.stepMib, pauseMs: pace.everyMs };
  }
}
