/**
 * The client against a real qemu-ga, which serves this machine's own files. The clock stands still unless a test moves it.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { decodePosition } from '../../src/guest-agent/answers.js';
import type { AgentChannel } from '../../src/guest-agent/channel.js';
import { connectAgent } from '../../src/guest-agent/connect.js';
import { AgentError } from '../../src/guest-agent/errors.js';
import { AgentFiles } from '../../src/guest-agent/files.js';
import { AgentReader } from '../../src/guest-agent/reader.js';
import { COMMAND_LIMIT, type AgentSession } from '../../src/guest-agent/session.js';
import { VirtualClock } from '../../src/sim/index.js';
import { addMillis, millis } from '../../src/units.js';
import { patience } from '../qmp/support/opened.js';
import { NEEDS_AGENT, RealAgent } from './support/real-agent.js';

const NEVER = new AbortController().signal;

/** A test that is skipped by its name where there is no agent. */
const real = (name: string, run: (test: TestContext) => Promise<void>): void => {
  it(name, { skip: NEEDS_AGENT, timeout: 120_000 }, run);
};

interface Opened {
  readonly agent: RealAgent;
  readonly clock: VirtualClock;
  readonly session: AgentSession;
}

async function opened(test: TestContext, switchedOff: readonly string[] = []): Promise<Opened> {
  const agent = await RealAgent.start(switchedOff);
  test.after(() => agent.close());
  const clock = new VirtualClock();
  const session = await connectUntilTaken(agent.path, clock);
  test.after(() => session.close());
  return { agent, clock, session };
}

/** On a socket of its own it takes one client at a time, and none until it has noticed that the last one has gone. */
async function connectUntilTaken(path: string, clock: VirtualClock): Promise<AgentSession> {
  const limit = patience();
  for (;;) {
    try {
      return await connectAgent(path, clock, limit);
    } catch (error) {
      if (!(error instanceof AgentError) || error.agentCode !== 'EUNAVAILABLE' || limit.aborted) throw error;
      await setTimeout(20);
    }
  }
}

const openIn = (agent: RealAgent): readonly string[] =>
  readdirSync(`/proc/${agent.pid}/fd`).flatMap((descriptor) => {
    const target = readlinkSync(`/proc/${agent.pid}/fd/${descriptor}`);
    return target.startsWith('/proc/') ? [target] : [];
  });

describe('a real guest agent', () => {
  real('gives the text of now each time, from a file that is opened once', async (test) => {
    const { agent, clock, session } = await opened(test);
    const files = new AgentFiles(session, clock);
    const seen = new Set<string>();
    for (let round = 0; round < 4; round += 1) {
      const text = await files.read('/proc/uptime', NEVER);
      assert.ok(text.known);
      seen.add(text.value);
      await setTimeout(50);
    }
    assert.equal(seen.size, 4);
    assert.deepEqual(openIn(agent), ['/proc/uptime']);
    const zones = await files.read('/proc/zoneinfo', NEVER);
    assert.ok(zones.known && zones.value.startsWith('Node 0') && zones.value.endsWith('\n'));
    await files.close(NEVER);
    assert.deepEqual(openIn(agent), []);
  });

  real('says what this machine says of itself', async (test) => {
    const { agent, clock, session } = await opened(test);
    const reader = new AgentReader({ channel: session, clock, tell: (message) => assert.fail(message) });
    await reader.look();
    const { total, committed, reserve, maxPfn, majorFaults } = reader.signals;
    for (const signal of [total, committed, reserve, maxPfn, majorFaults]) assert.ok(signal.known && signal.value > 0);
    const own = Number(/^MemTotal: +(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
    assert.equal(total.known && total.value, Math.floor(own / 4));
    await reader.close(NEVER);
    assert.deepEqual(openIn(agent), []);
  });

  real('that was left in the middle of a word is in step again at the next connection', async (test) => {
    const { agent, clock, session } = await opened(test);
    await session.close();
    const other = createConnection(agent.path);
    await new Promise((resolve) => other.once('connect', resolve));
    await new Promise((resolve) => other.write('{"execute": "guest-', resolve));
    other.destroy();
    const next = await connectUntilTaken(agent.path, clock);
    test.after(() => next.close());
    assert.ok((await new AgentFiles(next, clock).read('/proc/meminfo', NEVER)).known);
  });

  real('that was stopped for a while is in step again, and its late answer is nobody’s', async (test) => {
    const { agent, clock, session } = await opened(test);
    const files = new AgentFiles(session, clock);
    await files.read('/proc/meminfo', NEVER);
    agent.signal('STOP');
    const late = assert.rejects(files.read('/proc/meminfo', NEVER), AgentError);
    await clock.advanceTo(addMillis(clock.now(), millis(COMMAND_LIMIT)));
    await late;
    agent.signal('CONT');
    const text = await files.read('/proc/meminfo', NEVER);
    assert.ok(text.known && text.value.startsWith('MemTotal:'));
    assert.deepEqual(openIn(agent), ['/proc/meminfo']);
  });

  real(
    'knows after a lost connection that its handles are ours, and after a boot that they are another client’s',
    async (test) => {
      const { agent, clock, session } = await opened(test);
      const asked: string[] = [];
      let connection = session;
      const ask: AgentChannel['ask'] = (command, args, signal) => {
        asked.push(command);
        return connection.ask(command, args, signal);
      };
      const files = new AgentFiles({ ask }, clock);
      const read = async (): Promise<void> => {
        for (const path of ['/proc/meminfo', '/proc/vmstat']) assert.ok((await files.read(path, NEVER)).known);
      };
      await read();
      await session.close();
      connection = await connectUntilTaken(agent.path, clock);
      files.doubt();
      asked.length = 0;
      await read();
      assert.ok(!asked.includes('guest-file-open'));
      await connection.close();
      // Another one with a state of its own, as after a boot, and somebody who reads a file through it.
      const booted = await RealAgent.start();
      test.after(() => booted.close());
      connection = await connectUntilTaken(booted.path, clock);
      test.after(() => connection.close());
      const handle = await connection.ask('guest-file-open', { path: '/proc/self/status', mode: 'r' }, NEVER);
      assert.equal(handle, 1000);
      await connection.ask('guest-file-read', { handle, count: 10 }, NEVER);
      files.doubt();
      await read();
      const where = { handle, offset: 0, whence: 1 };
      assert.equal(decodePosition(await connection.ask('guest-file-seek', where, NEVER)), 10);
      await files.close(NEVER);
      assert.equal(openIn(booted).length, 1);
    },
  );

  real('whose commands for files are switched off is understood', async (test) => {
    const { clock, session } = await opened(test, ['guest-file-open']);
    const told: string[] = [];
    const reader = new AgentReader({ channel: session, clock, tell: (message) => told.push(message) });
    await reader.look();
    assert.match(told.join(), /block-rpcs/);
    await assert.rejects(
      session.ask('guest-file-open', { path: '/proc/meminfo' }, NEVER),
      (error) => error instanceof AgentError && error.class === 'CommandNotFound',
    );
  });

  real('has words for a missing file that are understood', async (test) => {
    const { clock, session } = await opened(test);
    const text = await new AgentFiles(session, clock).read('/proc/nothing', NEVER);
    assert.ok(!text.known && text.reason === 'not-reported');
  });
});
