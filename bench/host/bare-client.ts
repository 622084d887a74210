/**
 * What the words alone cost on this machine: a client that sends the fakes what the daemon sends them for one guest and round, on as many
 * beats, takes the answers apart, and does nothing else. A process of its own, started with the monitors' folder and with how many seconds
 * to warm up and to measure; it prints the microseconds of processor time for each look.
 */
import { readdirSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BALLOON_PATH } from '../../test/qmp/support/fake-machine.js';

const BEATS_A_SECOND = 5;
/** What the daemon sends: two questions at once, and a target when both are answered. */
const CAPABILITIES = { execute: 'qmp_capabilities', id: 0 };
const QUESTIONS = [
  { execute: 'query-balloon', id: 1 },
  { execute: 'qom-get', arguments: { path: BALLOON_PATH, property: 'guest-stats' }, id: 2 },
];
const TARGETS = [600, 700].map((mib) => ({ execute: 'balloon', arguments: { value: mib * 2 ** 20 }, id: 3 }));

const lineOf = (message: object): string => `${JSON.stringify(message)}\n`;
/** As the daemon, it reads all sockets into one buffer. */
const RECEIVED = Buffer.alloc(64 * 1024);

class BareClient {
  looks = 0;
  readonly #socket: Socket;
  #rest = '';
  #answers = 0;

  constructor(path: string) {
    const callback = (length: number): boolean => {
      this.#take(RECEIVED.toString('utf8', 0, length));
      return true;
    };
    this.#socket = createConnection({ path, onread: { buffer: RECEIVED, callback } });
    this.#socket.write(lineOf(CAPABILITIES));
  }

  look(): void {
    this.#answers = 0;
    this.#socket.write(QUESTIONS.map(lineOf).join(''));
  }

  end(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const { id } = JSON.parse(line) as { readonly id?: number };
      if (id === 1 || id === 2) this.#answers += 1;
      if (id === 2 && this.#answers === QUESTIONS.length) this.#setTarget();
    }
  }

  #setTarget(): void {
    this.looks += 1;
    this.#socket.write(lineOf(TARGETS[this.looks % TARGETS.length] ?? {}));
  }
}

const [folder = '', warmUp = '', seconds = ''] = process.argv.slice(2);
const clients = readdirSync(folder)
  .filter((file) => file.endsWith('.qmp'))
  .map((file) => new BareClient(join(folder, file)));

let beat = 0;
const timer = setInterval(() => {
  for (const [n, client] of clients.entries()) if (n % BEATS_A_SECOND === beat % BEATS_A_SECOND) client.look();
  beat += 1;
}, 1_000 / BEATS_A_SECOND);
const looks = (): number => clients.reduce((sum, client) => sum + client.looks, 0);
await sleep(Number(warmUp) * 1_000);
const [before, cpuBefore] = [looks(), process.cpuUsage()];
await sleep(Number(seconds) * 1_000);
const { user, system } = process.cpuUsage(cpuBefore);
console.log(String((user + system) / (looks() - before)));
clearInterval(timer);
for (const client of clients) client.end();
