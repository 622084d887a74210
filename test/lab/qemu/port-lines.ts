/** Whole lines over the host's end of a guest's serial port. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';

export class PortLines {
  readonly #socket: Socket;
  readonly #lines: Interface;
  readonly #came: string[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket.on('error', () => undefined);
    this.#lines = createInterface({ input: socket }).on('error', () => undefined);
    this.#lines.on('line', (line) => this.#came.push(line));
  }

  static async open(path: string): Promise<PortLines> {
    const socket = createConnection(path);
    await once(socket, 'connect');
    return new PortLines(socket);
  }

  write(line: string): void {
    this.#socket.write(`${line}\n`);
  }

  /** The next line that has not been asked for yet. */
  async next(): Promise<string> {
    for (;;) {
      const line = this.#came.shift();
      if (line !== undefined) return line;
      await once(this.#lines, 'line');
    }
  }

  /** The same, or null when none has come by then. */
  async nextWithin(limitMs: number): Promise<string | null> {
    if (this.#came.length === 0)
      await once(this.#lines, 'line', { signal: AbortSignal.timeout(limitMs) }).catch(() => undefined);
    return this.#came.shift() ?? null;
  }

  close(): void {
    this.#socket.destroy();
  }
}
