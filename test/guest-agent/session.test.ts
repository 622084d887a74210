/** Protects the connection to a guest's agent: whatever comes over it, no answer is taken for another one's, and nothing hangs or grows. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { connectAgent } from '../../src/guest-agent/connect.js';
import { AgentError, type AgentCode } from '../../src/guest-agent/errors.js';
import { CHUNK_BYTES } from '../../src/guest-agent/files.js';
import { ANSWER_BYTES_MAX, AgentSession, COMMAND_LIMIT, SYNC_LIMIT } from '../../src/guest-agent/session.js';
import type { ByteStream } from '../../src/connection/unix-socket.js';
import { objectIn, type JsonObject } from '../../src/qmp/fields.js';
import { VirtualClock } from '../../src/sim/index.js';
import { addMillis, millis } from '../../src/units.js';
import { patience, until } from '../qmp/support/opened.js';
import { FakeAgent, line } from './support/fake-agent.js';

const NEVER = new AbortController().signal;
const MIB = 2 ** 20;

interface Opened {
  readonly agent: FakeAgent;
  readonly clock: VirtualClock;
  readonly session: AgentSession;
}

async function opened(test: TestContext): Promise<Opened> {
  const agent = new FakeAgent();
  const path = await agent.listen(test);
  const clock = new VirtualClock();
  const session = await connectAgent(path, clock, patience());
  test.after(() => session.close());
  return { agent, clock, session };
}

const failsWith =
  (agentCode: AgentCode, message = /./) =>
  (error: unknown): boolean =>
    error instanceof AgentError && error.agentCode === agentCode && message.test(error.message);

const pass = (clock: VirtualClock, length: number): Promise<void> =>
  clock.advanceTo(addMillis(clock.now(), millis(length)));

describe('a connection to a guest’s agent', () => {
  it('begins with a number that the agent says again, and then carries commands', async (test) => {
    const { agent, session } = await opened(test);
    assert.deepEqual(agent.asked, ['guest-sync-delimited']);
    const info = await session.ask('guest-info', {}, NEVER);
    assert.ok(typeof info === 'object' && info !== null && 'version' in info);
    await assert.rejects(session.ask('guest-nothing', {}, NEVER), failsWith('EREFUSED', /guest-nothing/));
  });

  it('drops what an earlier one left: whole answers, half ones, and the words of others', async (test) => {
    const agent = new FakeAgent();
    const path = await agent.listen(test);
    agent.tamper = (answer, { execute }) =>
      execute === 'guest-sync-delimited' ? [line(answer)] : [line({ return: 'of another one' }), line(answer)];
    const clock = new VirtualClock();
    agent.isHolding = true;
    const connecting = connectAgent(path, clock, patience());
    await until('it was asked', () => agent.held.length === 1);
    agent.send('{"return": 7}\n', Buffer.from([0xff]), '{"return": 8}\n{"ret');
    agent.release();
    const session = await connecting;
    test.after(() => session.close());
    assert.equal(await session.ask('guest-file-open', { path: '/proc/meminfo' }, NEVER), 'of another one');
    // The surplus answer came while nobody had asked: the next command is asked in step again.
    agent.tamper = (answer) => [line(answer)];
    await until('the surplus came', () => agent.handles.size === 1);
    assert.equal(await session.ask('guest-file-open', { path: '/proc/vmstat' }, NEVER), 1001);
  });

  it('takes a word that came unasked for a sign that it is out of step, and asks for a number before the next command', async () => {
    const sent: Buffer[] = [];
    let hear: (text: string | Buffer) => void = () => undefined;
    const stream: ByteStream<AgentError> = {
      ...{ description: 'here', unsentBytes: 0, peerPid: () => null, pause: () => undefined, resume: () => undefined },
      start: ({ onBytes }) => {
        hear = (text) => {
          onBytes(Buffer.from(text));
        };
      },
      send: (bytes) => sent.push(bytes),
      close: () => Promise.resolve(),
    };
    const session = new AgentSession(stream, new VirtualClock());
    const lastSent = (): JsonObject => {
      const bytes = sent.at(-1) ?? Buffer.alloc(0);
      return objectIn(JSON.parse(bytes.subarray(bytes.lastIndexOf(0xff) + 1).toString()));
    };
    const sayNumber = (): void => {
      assert.equal(lastSent()['execute'], 'guest-sync-delimited');
      hear(Buffer.concat([Buffer.of(0xff), Buffer.from(line({ return: objectIn(lastSent()['arguments'])['id'] }))]));
    };
    const beginning = session.begin(NEVER);
    sayNumber();
    await beginning;
    hear(line({ return: 'of nobody’s question' }));
    const asking = session.ask('guest-file-open', { path: '/proc/meminfo' }, NEVER);
    // It is one answer behind from then on.
    hear(line({ return: 'of the question before' }));
    sayNumber();
    await new Promise(setImmediate);
    assert.equal(lastSent()['execute'], 'guest-file-open');
    hear(line({ return: 1000 }));
    assert.equal(await asking, 1000);
  });

  it('never takes an answer that came late for the next one’s', async (test) => {
    const { agent, clock, session } = await opened(test);
    agent.isHolding = true;
    const asking = session.ask('guest-file-open', { path: '/proc/meminfo' }, NEVER);
    const late = assert.rejects(asking, failsWith('ETIMEDOUT', /guest-file-open/));
    await until('it was asked', () => agent.held.length === 1);
    await pass(clock, COMMAND_LIMIT);
    await late;
    const next = session.ask('guest-file-open', { path: '/proc/vmstat' }, NEVER);
    await until('the number was asked for', () => agent.held.length === 2);
    agent.release();
    assert.equal(await next, 1001);
    assert.equal(agent.asked.filter((name) => name === 'guest-sync-delimited').length, 2);
  });

  it('carries one command at a time', async (test) => {
    const { agent, session } = await opened(test);
    agent.isHolding = true;
    const first = session.ask('guest-info', {}, NEVER);
    await assert.rejects(session.ask('guest-info', {}, NEVER), failsWith('EBUSY'));
    await until('it was asked', () => agent.held.length === 1);
    agent.release();
    await first;
    await session.ask('guest-info', {}, NEVER);
  });

  it('gives up when its caller does', async (test) => {
    const { agent, session } = await opened(test);
    agent.isHolding = true;
    const caller = new AbortController();
    const asking = session.ask('guest-info', {}, caller.signal);
    caller.abort();
    await assert.rejects(asking, failsWith('ETIMEDOUT'));
    await assert.rejects(session.ask('guest-info', {}, caller.signal), failsWith('ETIMEDOUT'));
  });

  it('ends when an agent that was silent does not even say a number again', async (test) => {
    const { agent, clock, session } = await opened(test);
    agent.isHolding = true;
    const first = assert.rejects(session.ask('guest-info', {}, NEVER), failsWith('ETIMEDOUT'));
    await until('it was asked', () => agent.held.length === 1);
    await pass(clock, COMMAND_LIMIT);
    await first;
    const asking = session.ask('guest-info', {}, NEVER);
    const second = assert.rejects(asking, failsWith('ETIMEDOUT', /guest-sync-delimited/));
    await until('something was asked', () => agent.held.length === 2);
    assert.equal(agent.asked.at(-1), 'guest-sync-delimited');
    await pass(clock, SYNC_LIMIT);
    await second;
    assert.equal((await session.closed).kind, 'lost');
    await assert.rejects(session.ask('guest-info', {}, NEVER), failsWith('EUNAVAILABLE'));
  });

  it('says why when it is lost, and to whoever waits', async (test) => {
    const { agent, session } = await opened(test);
    agent.isHolding = true;
    const lost = assert.rejects(session.ask('guest-info', {}, NEVER), failsWith('EUNAVAILABLE', /has ended/));
    await until('it was asked', () => agent.held.length === 1);
    agent.connections[0]?.destroy();
    await lost;
    assert.equal((await session.closed).kind, 'lost');
  });
});

describe('connecting to a guest’s agent', () => {
  it('fails where nobody listens, and where nobody answers in time', async (test) => {
    const clock = new VirtualClock();
    await assert.rejects(connectAgent('/nowhere/agent', clock, patience()), failsWith('EUNAVAILABLE', /ENOENT/));
    const agent = new FakeAgent();
    const path = await agent.listen(test);
    agent.isHolding = true;
    const connecting = connectAgent(path, clock, patience());
    const silent = assert.rejects(connecting, failsWith('ETIMEDOUT', /qemu-guest-agent/));
    await until('it was asked', () => agent.held.length === 1);
    await pass(clock, SYNC_LIMIT);
    await silent;
  });
});

describe('a hostile agent', () => {
  const answers: readonly (readonly [string, readonly (string | Buffer)[]])[] = [
    ['garbage', ['garbage\n']],
    ['JSON that is no object', ['[1, 2]\n']],
    ['an object that is no answer', ['{"event": "X"}\n']],
    ['bytes that are no text', [Buffer.from([0xc0, 0x80, 0x0a])]],
    ['JSON nested without end', [`${'['.repeat(100_000)}\n`]],
    ['an error that is none', ['{"error": 7}\n']],
  ];
  for (const [what, parts] of answers) {
    it(`that answers with ${what} fails that one command, and the next is asked in step`, async (test) => {
      const { agent, session } = await opened(test);
      agent.tamper = (answer, { execute }) => (execute === 'guest-info' ? parts : [line(answer)]);
      await assert.rejects(session.ask('guest-info', {}, NEVER), AgentError);
      assert.equal(await session.ask('guest-file-open', { path: '/proc/meminfo' }, NEVER), 1000);
    });
  }

  it('that sends a line of 100 MB, or answers without end, is let go after twice the longest answer', async (test) => {
    for (const piece of ['x'.repeat(MIB / 4), '{"no": "answer"}\n'.repeat(4_000)]) {
      const { agent, session } = await opened(test);
      agent.tamper = (answer, { execute }) =>
        execute === 'guest-info' ? Array.from({ length: 400 }, () => piece) : [line(answer)];
      await assert.rejects(session.ask('guest-info', {}, NEVER), AgentError);
      const end = await session.closed;
      assert.ok(end.kind === 'lost' && /more than 131072 bytes/.test(end.error.message));
    }
    assert.ok(ANSWER_BYTES_MAX >= 2 * Math.ceil((CHUNK_BYTES * 4) / 3) && ANSWER_BYTES_MAX < MIB);
  });

  it('that sends unasked is let go after as much', async (test) => {
    const { agent, session } = await opened(test);
    for (let sent = 0; sent < 5; sent += 1) agent.send('{"return": {}}\n'.repeat(20_000));
    assert.equal((await session.closed).kind, 'lost');
  });
});
