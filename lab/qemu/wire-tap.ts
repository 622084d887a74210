/**
 * Listens in between the program under test and a guest's monitor: hands everything on in both directions, and notes when each
 * command came by. It can also cut the connections, as when a monitor goes away.
 */
import { rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';

export interface TappedCommand {
  /** This process's `performance.now()` when its line was whole. */
  readonly atMs: number;
  readonly name: string;
  readonly args: unknown;
}

export interface WireTapPaths {
  /** Where the program under test connects to. */
  readonly listen: string;
  /** The monitor. */
  readonly target: string;
}

/** The oldest go first. */
const COMMANDS_MAX = 20_000;
/** No command of ours is so long; what is, is handed on and not noted. */
const LINE_MAX = 65_536;

export class WireTap {
  readonly #paths: WireTapPaths;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #commands: TappedCommand[] = [];

  private constructor(paths: WireTapPaths) {
    this.#paths = paths;
    this.#server = createServer((inside) => {
      this.#join(inside, createConnection(paths.target));
    });
  }

  /** Resolves when it can be connected to. */
  static async open(paths: WireTapPaths): Promise<WireTap> {
    const tap = new WireTap(paths);
    rmSync(paths.listen, { force: true });
    await new Promise<void>((resolve, reject) => {
      tap.#server.once('error', reject).listen(paths.listen, resolve);
    });
    return tap;
  }

  /** Commands with that name since the beginning, the newest last; all of them without one. */
  commands(name?: string): readonly TappedCommand[] {
    return this.#commands.filter((command) => name === undefined || command.name === name);
  }

  /** Ends all connections; new ones can be made. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
    rmSync(this.#paths.listen, { force: true });
  }

  #join(inside: Socket, outside: Socket): void {
    const end = (): void => {
      for (const socket of [inside, outside]) {
        socket.destroy();
        this.#sockets.delete(socket);
      }
    };
    for (const socket of [inside, outside]) {
      this.#sockets.add(socket);
      socket.on('error', end).on('close', end);
    }
    let rest = '';
    inside.on('data', (chunk: Buffer) => {
      const atMs = performance.now();
      const lines = (rest + chunk.toString()).split('\n');
      rest = (lines.pop() ?? '').slice(-LINE_MAX);
      for (const line of lines) this.#note(atMs, line);
    });
    inside.pipe(outside).pipe(inside);
  }

  #note(atMs: number, line: string): void {
    const command = commandIn(line);
    if (command === null) return;
    this.#commands.push({ atMs, ...command });
    if (this.#commands.length > COMMANDS_MAX) this.#commands.shift();
  }
}

function commandIn(line: string): Omit<TappedCommand, 'atMs'> | null {
  try {
    const { execute, arguments: args } = JSON.parse(line) as {
      readonly execute?: unknown;
      readonly arguments?: unknown;
    };
    return typeof execute === 'string' ? { name: execute, args: args ?? null } : null;
  } catch {
    return null;
  }
}
