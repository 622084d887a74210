/**
 * Protects the agent as a whole: the real program in a made-up guest, its real reports through a pipe that stands in for the port, and
 * at the other end, over a real unix socket, the host's own reader. Between the two this test does what QEMU does: it carries bytes.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openAgentPort, type AgentPort } from '../../src/agent-port/index.js';
import type { Alarm } from '../../src/control/alarm.js';
import { RealClock } from '../../src/runtime/real-clock.js';
import { FakeGuest, temporaryFolder, until as untilSo } from '../agent-port/support/fake-guest.js';
import { fakeMemory, type FakeMemory } from '../signals/alarm-roots.js';

const PROGRAM = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** Another process needs the CPU meanwhile. */
const until = (what: string, isSo: () => boolean): Promise<void> => untilSo(what, isSo, () => sleep(5));

/** The guest's side of a port and the host's, and QEMU between them, whose part `carry` plays. */
class Machine {
  readonly memory: FakeMemory;
  readonly pipe: string;
  readonly #config: string;
  readonly #test: TestContext;
  #hostEnd: number | null = null;

  constructor(test: TestContext) {
    const folder = temporaryFolder(test);
    this.#test = test;
    this.memory = fakeMemory(test, 1_024, 800);
    this.pipe = join(folder, 'port');
    this.#config = join(folder, 'config.toml');
    execFileSync('mkfifo', [this.pipe]);
    writeFileSync(this.#config, `[agent]\nroot = "${this.memory.root}"\nport = "${this.pipe}"\n`);
    test.after(() => {
      this.disconnect();
    });
  }

  connect(): void {
    this.#hostEnd = openSync(this.pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  disconnect(): void {
    if (this.#hostEnd !== null) closeSync(this.#hostEnd);
    this.#hostEnd = null;
  }

  /** What waits in the pipe. */
  read(): Buffer {
    const buffer = Buffer.alloc(65_536);
    try {
      return this.#hostEnd === null ? Buffer.alloc(0) : buffer.subarray(0, readSync(this.#hostEnd, buffer));
    } catch {
      // Nothing waits there now.
      return Buffer.alloc(0);
    }
  }

  start(): Agent {
    return new Agent(this.#test, ['agent', '--config', this.#config]);
  }
}

class Agent {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  out = '';

  constructor(test: TestContext, args: readonly string[]) {
    this.process = spawn(process.execPath, [PROGRAM, ...args]);
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.out += chunk.toString()));
    }
    this.ended = new Promise((resolve) => this.process.once('close', resolve));
    test.after(() => this.process.kill('SIGKILL'));
  }
}

interface Host {
  readonly port: AgentPort;
  readonly alarms: readonly Alarm[];
}

/** The host's reader, which is sent all that comes out of the guest's pipe. */
async function listen(test: TestContext, machine: Machine): Promise<Host> {
  const qemu = new FakeGuest(test);
  await qemu.start();
  const alarms: Alarm[] = [];
  const port = openAgentPort({
    path: qemu.path,
    clock: new RealClock(),
    onAlarm: (alarm) => alarms.push(alarm),
    tell: (message) => assert.fail(message),
  });
  await until('the host is connected', () => qemu.clients.length === 1);
  const carry = setInterval(() => {
    const bytes = machine.read();
    if (bytes.length > 0) qemu.client.write(bytes);
  }, 5);
  test.after(async () => {
    clearInterval(carry);
    await port.close();
  });
  return { port, alarms };
}

const totalOf = ({ port }: Host): unknown => {
  const { total } = port.signals();
  return total?.known === true ? total.value : null;
};

describe('the agent in a guest', () => {
  it('tells its host how the guest is, that memory gets tight, and on the way out that it goes', async (test) => {
    const machine = new Machine(test);
    machine.connect();
    const host = await listen(test, machine);
    const agent = machine.start();
    await until('it is heard', () => totalOf(host) === 262_144);
    assert.match(agent.out, /reports to the host through the port .*port, one a line/);
    assert.equal(host.port.refusal, null);
    assert.equal(host.alarms.length, 0);

    machine.memory.set(10);
    await until('the host hears that memory is low', () => host.alarms.length > 0);
    const [first] = host.alarms;
    assert.deepEqual([first?.cause, first?.availablePages], ['low', 2_560]);

    agent.process.kill('SIGTERM');
    assert.equal(await agent.ended, 0);
    await until('the host hears that it has gone', () => host.alarms.some(({ cause }) => cause === 'silent'));
    assert.deepEqual(host.port.signals(), {});
  });

  it('goes on when its host goes, says so once, and is heard again when it is back', async (test) => {
    const machine = new Machine(test);
    machine.connect();
    const host = await listen(test, machine);
    const agent = machine.start();
    await until('it is heard', () => totalOf(host) !== null);
    machine.disconnect();
    await until('it has noticed', () => agent.out.includes('do not get through'));
    machine.memory.write('MemTotal: 2097152 kB\n');
    machine.connect();
    await until('it is heard again', () => totalOf(host) === 524_288);
    await until('it says so', () => agent.out.includes('get through again'));
    assert.equal(agent.out.split('do not get through').length, 2);
  });

  it('ends at once when it is told to, also while nobody reads what it writes', async (test) => {
    const machine = new Machine(test);
    machine.connect();
    const agent = machine.start();
    await until('it reports', () => agent.out.includes('reports to the host'));
    // Full from now on.
    const stuffing = openSync(machine.pipe, constants.O_WRONLY | constants.O_NONBLOCK);
    test.after(() => {
      closeSync(stuffing);
    });
    // By single bytes at last: a report that took the last page of the pipe leaves room there for more of them.
    for (const length of [4_096, 1]) {
      assert.throws(() => {
        for (;;) writeFileSync(stuffing, Buffer.alloc(length, 0x78));
      }, /EAGAIN/);
    }
    await until('it has noticed', () => agent.out.includes('nobody on the host is connected'));
    agent.process.kill('SIGTERM');
    assert.equal(await agent.ended, 0);
  });

  it('says what is missing where there is no port, and does not start', async (test) => {
    const agent = new Agent(test, ['agent', '--port', join(temporaryFolder(test), 'nothing')]);
    assert.equal(await agent.ended, 1);
    assert.match(agent.out, /^selfballoon: the port .*nothing cannot be opened: ENOENT.* virtio_console is loaded$/m);
  });
});
