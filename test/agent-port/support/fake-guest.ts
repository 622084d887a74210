/** The virtual machine's side of an agent's port, as a QEMU has it: a unix socket that serves one client at a time, for a test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { openAgentPort, type AgentPort, type AgentPortOptions } from '../../../src/agent-port/index.js';
import type { Alarm } from '../../../src/control/alarm.js';
import { VirtualClock } from '../../../src/sim/index.js';
import { millis } from '../../../src/units.js';

/** For what must come in any case: a test that waits for it in vain ends by this. */
const PATIENCE_MS = 60_000;

/** Lets both ends run until `isSo`. */
export async function until(what: string, isSo: () => boolean, meanwhile?: () => Promise<void>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end) {
    if (isSo()) return;
    await meanwhile?.();
    await setImmediate();
  }
  throw new Error(`it never came about that ${what}`);
}

export function temporaryFolder(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-agent-'));
  test.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

export class FakeGuest {
  readonly path: string;
  /** All that were ever connected. */
  readonly clients: Socket[] = [];
  #server: Server | null = null;

  constructor(test: TestContext, path = join(temporaryFolder(test), 'agent.sock')) {
    this.path = path;
    test.after(() => this.stop());
  }

  /** From now on it can be connected to. */
  async start(): Promise<void> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      this.clients.push(socket);
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.path, resolve));
  }

  /** The machine ends. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    for (const client of this.clients) client.destroy();
    if (server !== null)
      await new Promise<void>((resolve) =>
        server.close(() => {
          resolve();
        }),
      );
  }

  get client(): Socket {
    const client = this.clients.at(-1);
    if (client === undefined) throw new Error('nobody is connected');
    return client;
  }
}

/** A port over a fake guest, with time that a test moves. */
export class Rig {
  readonly clock = new VirtualClock();
  readonly guest: FakeGuest;
  readonly port: AgentPort;
  readonly alarms: Alarm[] = [];
  readonly told: string[] = [];
  reports = 0;

  private constructor(guest: FakeGuest, options: Partial<AgentPortOptions>) {
    this.guest = guest;
    this.port = openAgentPort({
      path: guest.path,
      clock: this.clock,
      onAlarm: (alarm) => this.alarms.push(alarm),
      onReport: () => (this.reports += 1),
      tell: (message) => this.told.push(message),
      ...options,
    });
  }

  /** Connected, unless the machine is not to run yet. */
  static async open(
    test: TestContext,
    { isRunning = true, ...options }: Partial<AgentPortOptions> & { readonly isRunning?: boolean } = {},
  ): Promise<Rig> {
    const guest = new FakeGuest(test);
    if (isRunning) await guest.start();
    const rig = new Rig(guest, options);
    test.after(() => rig.port.close());
    if (isRunning) await until('it is connected', () => guest.clients.length === 1);
    return rig;
  }

  /** The causes of the alarms so far. */
  get causes(): readonly string[] {
    return this.alarms.map(({ cause }) => cause);
  }

  to(at: number): Promise<void> {
    return this.clock.advanceTo(millis(at));
  }

  /** Sends these bytes, and waits until something of them was looked at. */
  async say(text: string): Promise<void> {
    const before = this.reports;
    this.guest.client.write(text);
    await until(
      'it was heard',
      () => this.reports > before,
      () => this.to(this.clock.now()),
    );
  }

  /** Lets what was sent arrive, and what is due be done, at this moment of the clock. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 50; turn += 1) {
      await setImmediate();
      await this.to(this.clock.now());
    }
  }
}
