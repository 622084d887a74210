/** The process of the fake machines, as the benchmark sees it. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { MachineRecord, MachinesAnswer, MachinesRequest } from './machines-process.js';

const PROGRAM = fileURLToPath(new URL('machines-process.js', import.meta.url));
/** For starting all of them, and for the daemon to find them. */
const PATIENCE_MS = 120_000;

type Kind = MachinesAnswer['kind'];

export class Machines {
  readonly #process: ChildProcess;

  private constructor(folder: string, count: number) {
    this.#process = fork(PROGRAM, [folder, String(count)]);
  }

  /** Starts `count` machines with their sockets in `folder`. Rejects when they do not listen. */
  static async start(folder: string, count: number): Promise<Machines> {
    const machines = new Machines(folder, count);
    await machines.hear('listening');
    return machines;
  }

  /** Of the process behind all of their sockets. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Forgets what was noted so far. */
  begin(): void {
    this.#tell('begin');
  }

  /** What was noted since. */
  async report(): Promise<readonly MachineRecord[]> {
    const heard = this.hear('report');
    this.#tell('report');
    return (await heard).machines;
  }

  /** The next word of that kind. Rejects when it does not come. */
  hear<K extends Kind>(kind: K): Promise<Extract<MachinesAnswer, { kind: K }>> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        this.#process.off('message', onMessage).off('exit', onEnd);
      };
      const onMessage = (said: MachinesAnswer): void => {
        if (!isOf(said, kind)) return;
        stop();
        resolve(said);
      };
      const onEnd = (): void => {
        stop();
        reject(new Error(`the process of the fake machines has ended, and "${kind}" was waited for`));
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`the fake machines did not say "${kind}" within ${PATIENCE_MS / 1_000} s`));
      }, PATIENCE_MS);
      this.#process.on('message', onMessage).once('exit', onEnd);
    });
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#tell('end');
    await ended;
  }

  #tell(request: MachinesRequest): void {
    this.#process.send(request);
  }
}

const isOf = <K extends Kind>(said: MachinesAnswer, kind: K): said is Extract<MachinesAnswer, { kind: K }> =>
  said.kind === kind;
