/** Protects how a guest's files are read through its agent: opened once, always the text of now, nothing left open, nothing believed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AgentError } from '../../src/guest-agent/errors.js';
import { AgentFiles, CHUNK_BYTES, FILE_BYTES_MAX } from '../../src/guest-agent/files.js';
import type { JsonObject } from '../../src/qmp/fields.js';
import { VirtualClock } from '../../src/sim/index.js';
import { addMillis, millis } from '../../src/units.js';
import { useSeed } from '../support/seed.js';
import { FakeAgent, line } from './support/fake-agent.js';

useSeed();

const NEVER = new AbortController().signal;
const PATH = '/proc/meminfo';
/** More questions than any file of 1 MiB needs. */
const ASKED_MAX = 100;

interface Opened {
  readonly agent: FakeAgent;
  readonly clock: VirtualClock;
  readonly files: AgentFiles;
}

function opened(): Opened {
  const agent = new FakeAgent();
  const clock = new VirtualClock();
  return { agent, clock, files: new AgentFiles(agent.channel, clock) };
}

const pass = (clock: VirtualClock, length: number): Promise<void> =>
  clock.advanceTo(addMillis(clock.now(), millis(length)));

/** The text, or the reason for which there is none. */
async function textOf(files: AgentFiles, path = PATH, signal = NEVER): Promise<string> {
  const text = await files.read(path, signal);
  return text.known ? text.value : text.reason;
}

const countOf = (agent: FakeAgent, command: string): number => agent.asked.filter((name) => name === command).length;

describe('a file read through an agent', () => {
  it('is opened once, and says each time what it says then', async () => {
    const { agent, files } = opened();
    for (const text of ['one\n', 'two\n', 'three\n']) {
      agent.files.set(PATH, text);
      assert.equal(await textOf(files), text);
    }
    assert.equal(countOf(agent, 'guest-file-open'), 1);
    assert.deepEqual(agent.requests.map(({ arguments: args }) => args).slice(0, 3), [
      { path: PATH, mode: 'r' },
      { handle: 1000, offset: 0, whence: 0 },
      { handle: 1000, count: 49_152 },
    ]);
  });

  it('is read to its end, however long it is, and to 1 MiB at most', async () => {
    const { agent, files } = opened();
    for (const length of [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, FILE_BYTES_MAX]) {
      const text = 'é'.repeat(length / 2).padEnd(length / 2, 'x');
      agent.files.set(PATH, text);
      assert.equal(await textOf(files), text, `${length} bytes`);
    }
    agent.files.set(PATH, 'x'.repeat(FILE_BYTES_MAX + 1));
    assert.equal(await textOf(files), 'malformed');
    assert.equal(agent.handles.size, 0);
  });

  it('is opened again when the agent was started again', async () => {
    const { agent, files } = opened();
    await textOf(files);
    agent.restart();
    agent.files.set(PATH, 'after\n');
    assert.equal(await textOf(files), 'after\n');
    assert.equal(files.openCount, 1);
  });

  it('is opened again when it was not read to its end, for its buffer may have the text of back then', async () => {
    const { agent, files } = opened();
    agent.files.set(PATH, 'old '.repeat(30_000));
    let chunks = 0;
    agent.tamper = (answer, { execute }) => {
      chunks += execute === 'guest-file-read' ? 1 : 0;
      return chunks === 2 ? [] : [line(answer)];
    };
    const look = new AbortController();
    const interrupted = assert.rejects(files.read(PATH, look.signal), AgentError);
    await new Promise(setImmediate);
    look.abort();
    await interrupted;
    chunks = 3;
    agent.files.set(PATH, 'new '.repeat(30_000));
    assert.match(await textOf(files), /^new /);
    assert.equal(agent.handles.size, 1);
  });

  it('is closed in the end', async () => {
    const { agent, files } = opened();
    await textOf(files);
    await textOf(files, '/proc/vmstat');
    assert.equal(agent.handles.size, 2);
    await files.close(NEVER);
    assert.equal(agent.handles.size, 0);
    await files.close(AbortSignal.abort());
  });
});

describe('handles of a guest that has booted since', () => {
  const PATHS = ['/proc/meminfo', '/proc/vmstat', '/proc/zoneinfo'];
  const before = async (): Promise<Opened> => {
    const all = opened();
    for (const path of PATHS) await textOf(all.files, path);
    return all;
  };
  const readAll = async (files: AgentFiles): Promise<void> => {
    for (const path of PATHS) assert.notEqual(await textOf(files, path), 'unreadable');
  };

  it('are another client’s now, whose files are neither moved nor closed', async () => {
    const { agent, files } = await before();
    agent.reboot();
    files.forget();
    const others = PATHS.map((path) => agent.openForOther(path, 'somebody else reads this', 7));
    await readAll(files);
    assert.deepEqual(
      others.map(({ position }) => position),
      [7, 7, 7],
    );
    await files.close(NEVER);
    assert.deepEqual([...agent.handles.values()], others);
  });

  it('are not closed in the end, where no look was between', async () => {
    const { agent, files } = await before();
    agent.reboot();
    files.forget();
    const other = agent.openForOther('/etc/passwd', 'x', 0);
    await files.close(NEVER);
    assert.deepEqual([...agent.handles.values()], [other]);
  });

  it('are all forgotten as soon as one is not known, and used for nothing', async () => {
    const { agent, files } = await before();
    agent.reboot();
    agent.openForOther('/etc/hosts', 'closed again', 3);
    const other = agent.openForOther('/etc/passwd', 'somebody else reads this', 3);
    agent.handles.delete(1000);
    await textOf(files, '/proc/meminfo');
    agent.requests.length = 0;
    await textOf(files, '/proc/vmstat');
    assert.equal(other.position, 3);
    assert.deepEqual(agent.asked, ['guest-file-open', 'guest-file-seek', 'guest-file-read']);
  });

  it('of a file that is just being read are used no more, and what was opened for it is not kept', async () => {
    for (const command of ['guest-file-seek', 'guest-file-open']) {
      const { agent, clock, files } = opened();
      if (command === 'guest-file-seek') await textOf(files);
      agent.requests.length = 0;
      agent.tamper = (answer, { execute }) => {
        if (execute === command) files.forget();
        return [line(answer)];
      };
      await assert.rejects(files.read(PATH, NEVER), /begun anew/);
      assert.deepEqual(agent.asked, [command]);
      assert.equal(files.openCount, 0);
      agent.tamper = (answer) => [line(answer)];
      assert.match(await textOf(files), /^MemTotal/, 'it is not left alone for that');
      assert.equal(clock.now(), 0);
    }
  });
});

describe('handles after a lost connection', () => {
  it('are used again where the agent is the same, which nobody has moved', async () => {
    const { agent, files } = opened();
    await textOf(files);
    await textOf(files, '/proc/vmstat');
    files.doubt();
    agent.requests.length = 0;
    agent.files.set(PATH, 'after\n');
    assert.equal(await textOf(files), 'after\n');
    assert.equal(countOf(agent, 'guest-file-open'), 0);
    assert.deepEqual(
      agent.requests.slice(0, 2).map(({ arguments: args }) => args),
      [1000, 1001].map((handle) => ({ handle, offset: 0, whence: 1 })),
    );
    assert.equal(countOf(agent, 'guest-file-seek'), 3, 'once each, and then for the reading');
  });

  it('are not used where one stands elsewhere, and nothing of another client is moved or closed', async () => {
    const { agent, files } = opened();
    await textOf(files);
    await textOf(files, '/proc/vmstat');
    agent.reboot();
    const others = [agent.openForOther('/a', 'another text', 4), agent.openForOther('/b', 'another text', 5)];
    files.doubt();
    assert.match(await textOf(files), /^MemTotal/);
    assert.deepEqual(
      others.map(({ position }) => position),
      [4, 5],
    );
    await files.close(NEVER);
    assert.deepEqual([...agent.handles.values()], others);
  });

  it('are not closed as long as it is not known whose they are', async () => {
    const { agent, files } = opened();
    await textOf(files);
    files.doubt();
    agent.requests.length = 0;
    await files.close(NEVER);
    assert.deepEqual(agent.asked, []);
  });

  it('of which none was read to its end are given up', async () => {
    const { agent, files } = opened();
    agent.tamper = (answer, { execute }) => (execute === 'guest-file-read' ? [] : [line(answer)]);
    const look = new AbortController();
    const reading = assert.rejects(files.read(PATH, look.signal), AgentError);
    await new Promise(setImmediate);
    look.abort();
    await reading;
    agent.tamper = (answer) => [line(answer)];
    files.doubt();
    agent.requests.length = 0;
    assert.match(await textOf(files), /^MemTotal/);
    assert.deepEqual(agent.asked, ['guest-file-open', 'guest-file-seek', 'guest-file-read']);
  });
});

describe('a file that cannot be read', () => {
  it('is missing, and is not asked for again within a minute', async () => {
    const { agent, clock, files } = opened();
    assert.equal(await textOf(files, '/proc/nothing'), 'not-reported');
    await textOf(files, '/proc/nothing');
    assert.equal(countOf(agent, 'guest-file-open'), 1);
    await pass(clock, 60_000);
    agent.files.set('/proc/nothing', 'something\n');
    assert.equal(await textOf(files, '/proc/nothing'), 'something\n');
  });

  it('is unreadable where the agent may not, and says so in its words', async () => {
    const { agent, files } = opened();
    const error = { class: 'GenericError', desc: "failed to open file '/proc/meminfo' (mode: 'r'): Permission denied" };
    agent.tamper = () => [line({ error })];
    const text = await files.read(PATH, NEVER);
    assert.ok(!text.known && text.reason === 'unreadable' && /Permission denied/.test(text.detail));
  });

  it('is closed where it opens and does not read, as PSI that is switched off', async () => {
    const { agent, files } = opened();
    agent.tamper = (answer, { execute }) =>
      execute === 'guest-file-read'
        ? [line({ error: { class: 'GenericError', desc: 'failed to read file: Operation not supported' } })]
        : [line(answer)];
    assert.equal(await textOf(files, '/proc/pressure/memory'), 'unreadable');
    assert.equal(agent.handles.size, 0);
    await textOf(files, '/proc/pressure/memory');
    assert.equal(countOf(agent, 'guest-file-open'), 1);
  });

  it('is opened ever more seldom by an agent that is too slow, which keeps what it opens', async () => {
    const { agent, clock, files } = opened();
    agent.tamper = (answer, { execute }) => (execute === 'guest-file-open' ? [] : [line(answer)]);
    const look = new AbortController();
    for (let round = 0; round < 720; round += 1) {
      const reading = files.read(PATH, look.signal).catch(() => undefined);
      if (round === 0) look.abort();
      await reading;
      await pass(clock, 5_000);
    }
    // In the first hour: at 0, 1, 3, 7, 15 and 31 minutes.
    assert.equal(countOf(agent, 'guest-file-open'), 6);
  });
});

describe('a lying agent', () => {
  const lies: readonly (readonly [string, string, unknown])[] = [
    ['a handle that is no number', 'guest-file-open', 'one'],
    ['a handle below 0', 'guest-file-open', -1],
    ['a handle of 2^63', 'guest-file-open', 2 ** 63],
    ['a place that is not the beginning', 'guest-file-seek', { position: 5, eof: false }],
    ['nothing read, and no end', 'guest-file-read', { count: 0, 'buf-b64': '', eof: false }],
    ['a bit of it, and no end', 'guest-file-read', { count: 3, 'buf-b64': 'YWJj', eof: false }],
    ['a negative count', 'guest-file-read', { count: -3, 'buf-b64': 'YWJj', eof: true }],
    ['another count than there are bytes', 'guest-file-read', { count: 4, 'buf-b64': 'YWJj', eof: true }],
    ['what is not base64', 'guest-file-read', { count: 3, 'buf-b64': 'YW*Jj', eof: true }],
    ['base64 with a tail', 'guest-file-read', { count: 3, 'buf-b64': 'YWJj\n', eof: true }],
    ['no base64 at all', 'guest-file-read', { count: 3, 'buf-b64': 7, eof: true }],
    ['more than was asked for', 'guest-file-read', { count: 60_000, 'buf-b64': 'A'.repeat(80_000), eof: true }],
    ['an end that is no yes or no', 'guest-file-read', { count: 3, 'buf-b64': 'YWJj', eof: 'yes' }],
    ['null', 'guest-file-read', null],
  ];
  for (const [what, command, value] of lies) {
    it(`that says ${what} is not believed, and has nothing left open`, async () => {
      const { agent, files } = opened();
      // Whoever believes it would ask without end: at last it says the truth, so that this comes out.
      agent.tamper = (answer, { execute }) =>
        execute === command && agent.asked.length < ASKED_MAX ? [line({ return: value })] : [line(answer)];
      assert.equal(await textOf(files), 'malformed');
      assert.equal(files.openCount, 0);
    });
  }

  it('that never comes to an end is let go at 1 MiB', async () => {
    const { agent, files } = opened();
    const endless = { count: CHUNK_BYTES, 'buf-b64': Buffer.alloc(CHUNK_BYTES, 'x').toString('base64'), eof: false };
    agent.tamper = (answer, { execute }) => [line(execute === 'guest-file-read' ? { return: endless } : answer)];
    assert.equal(await textOf(files), 'malformed');
    assert.ok(countOf(agent, 'guest-file-read') <= FILE_BYTES_MAX / CHUNK_BYTES + 2);
  });

  it('of whatever kind gives a text or a reason, and ends', async () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.record({ count: fc.integer(), 'buf-b64': fc.string(), eof: fc.boolean() }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 8 }), async (values) => {
        const { agent, files } = opened();
        let asked = 0;
        agent.tamper = (): readonly string[] => {
          asked += 1;
          if (asked >= ASKED_MAX) return [line({ error: { class: 'GenericError', desc: 'enough' } })];
          const lie: JsonObject = { return: values[asked % values.length] };
          return [line(lie)];
        };
        await files.read(PATH, NEVER);
        assert.ok(asked < ASKED_MAX);
      }),
    );
  });
});
