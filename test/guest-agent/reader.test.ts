/** Protects what is made of a guest's files: the same signals as inside, each as old as its file, and silence that only makes them older. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { AgentReader, EXTENT_AGE_MAX, EXTENT_AGE_MAX_AFTER_LOSS, LOOK_LIMIT } from '../../src/guest-agent/index.js';
import type { Signal } from '../../src/control/signal.js';
import { openGuestReader } from '../../src/signals/guest-reader.js';
import { VirtualClock } from '../../src/sim/index.js';
import { addMillis, millis } from '../../src/units.js';
import { fixtureRoot } from '../signals/proc-roots.js';
import { FakeAgent, line } from './support/fake-agent.js';

const NEVER = new AbortController().signal;

interface Opened {
  readonly agent: FakeAgent;
  readonly clock: VirtualClock;
  readonly reader: AgentReader;
  readonly told: string[];
}

function opened(machine?: string): Opened {
  const agent = new FakeAgent(machine);
  const clock = new VirtualClock(millis(1_000));
  const told: string[] = [];
  const reader = new AgentReader({ channel: agent.channel, clock, tell: (message) => told.push(message) });
  return { agent, clock, reader, told };
}

const pass = (clock: VirtualClock, length: number): Promise<void> =>
  clock.advanceTo(addMillis(clock.now(), millis(length)));

const shown = (signal: Signal<number>): string =>
  signal.known ? `${signal.value} at ${signal.at}` : `${signal.reason}: ${signal.detail}`;

const readsOf = (agent: FakeAgent, path: string): number =>
  agent.requests.filter(({ execute, arguments: args }) => {
    const handle = Number((args as { readonly handle?: number }).handle);
    return execute === 'guest-file-read' && agent.handles.get(handle)?.path === path;
  }).length;

describe('a guest that begins anew', () => {
  it('is known at the first look at which its agent is there again, however often it was not', async () => {
    const { agent, clock, reader } = opened();
    await reader.look();
    agent.reboot();
    reader.forget();
    agent.isGone = true;
    agent.requests.length = 0;
    for (let look = 0; look < 20; look += 1) {
      await pass(clock, 5_000);
      await reader.look();
    }
    assert.deepEqual(new Set(agent.asked), new Set(['guest-info']), 'nothing is opened where nobody is');
    agent.isGone = false;
    await pass(clock, 5_000);
    const at = clock.now();
    await reader.look();
    assert.match(shown(reader.signals.committed), new RegExp(`at ${at}$`));
  });

  it('has its files looked for again, whatever was wrong with them before', async () => {
    const { agent, clock, reader } = opened();
    agent.files.delete('/proc/pressure/memory');
    await reader.look();
    assert.ok(!reader.signals.pressure.known);
    agent.reboot();
    agent.files.set(
      '/proc/pressure/memory',
      'some avg10=1.00 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2\n',
    );
    reader.forget();
    await pass(clock, 5_000);
    await reader.look();
    assert.ok(reader.signals.pressure.known);
    assert.match(shown(reader.signals.reserve), / at 6000$/, 'its kernel may be another');
  });
});

describe('a guest seen through its agent', () => {
  it('is what a reader inside would see', async (test) => {
    const { reader } = opened('numa-two-nodes');
    await reader.look();
    const inside = openGuestReader({ root: fixtureRoot(test, 'numa-two-nodes'), now: () => millis(1_000) });
    const signals = inside.read();
    inside.close();
    assert.deepEqual({ ...signals, ...reader.signals }, signals);
    assert.ok(reader.signals.committed.known && reader.signals.reserve.known && reader.signals.pressure.known);
  });

  it('is as old as the moment at which its files were asked for', async () => {
    const { agent, clock, reader } = opened();
    await reader.look();
    await pass(clock, 5_000);
    agent.set('/proc/meminfo', 'Committed_AS', 4_000_000);
    await reader.look();
    assert.equal(shown(reader.signals.committed), '1000000 at 6000');
    assert.match(shown(reader.signals.majorFaults), / at 6000$/);
    assert.match(shown(reader.signals.reserve), / at 1000$/);
  });

  it('has its largest file read once a minute, or when it has more memory', async () => {
    const { agent, clock, reader } = opened();
    await reader.look();
    await pass(clock, EXTENT_AGE_MAX - 1);
    await reader.look();
    assert.equal(readsOf(agent, '/proc/zoneinfo'), 1);
    await pass(clock, 1);
    await reader.look();
    assert.equal(readsOf(agent, '/proc/zoneinfo'), 2);
    assert.match(shown(reader.signals.maxPfn), / at 61000$/);
    agent.set('/proc/meminfo', 'MemTotal', 25_000_000);
    await reader.look();
    assert.equal(readsOf(agent, '/proc/zoneinfo'), 3);
  });

  it('has its largest file read soon when it has less memory, for some may have been unplugged', async () => {
    const { agent, clock, reader } = opened();
    await reader.look();
    agent.set('/proc/meminfo', 'MemTotal', 24_600_000);
    await pass(clock, EXTENT_AGE_MAX_AFTER_LOSS - 1);
    await reader.look();
    assert.equal(readsOf(agent, '/proc/zoneinfo'), 1);
    await pass(clock, 1);
    await reader.look();
    assert.equal(readsOf(agent, '/proc/zoneinfo'), 2);
    await pass(clock, EXTENT_AGE_MAX_AFTER_LOSS);
    await reader.look();
    assert.equal(readsOf(agent, '/proc/zoneinfo'), 2);
  });

  it('without PSI is known but for that', async () => {
    const { agent, reader } = opened();
    agent.files.delete('/proc/pressure/memory');
    await reader.look();
    assert.match(shown(reader.signals.committed), /^\d+ at/);
    assert.ok(!reader.signals.pressure.known && reader.signals.pressure.reason === 'not-reported');
  });

  it('of which one file is nonsense is known by the others', async () => {
    const { agent, reader } = opened();
    agent.files.set('/proc/meminfo', 'MemTotal: -5 kB\n');
    await reader.look();
    assert.match(shown(reader.signals.total), /^malformed/);
    assert.ok(reader.signals.majorFaults.known);
  });
});

describe('an agent that falls silent', () => {
  it('leaves what was known, which grows old, and one look does not wait for another', async () => {
    const { agent, clock, reader } = opened();
    await reader.look();
    const before = reader.signals;
    agent.tamper = () => [];
    await pass(clock, 5_000);
    const looks = [reader.look(), reader.look()];
    assert.equal(looks[0], looks[1]);
    await pass(clock, LOOK_LIMIT);
    await Promise.all(looks);
    assert.deepEqual(reader.signals, before);
    agent.tamper = (answer) => [line(answer)];
    await reader.look();
    assert.match(shown(reader.signals.committed), / at 16000$/);
  });

  it('from the beginning makes nothing known, and says why', async () => {
    const { agent, clock, reader } = opened();
    assert.match(shown(reader.signals.committed), /^not-reported: .*not answered yet/);
    agent.tamper = () => [];
    const looking = reader.look();
    await pass(clock, LOOK_LIMIT);
    await looking;
    assert.match(shown(reader.signals.committed), /^not-reported: .*guest-info in time/);
  });
});

describe('an agent that may not be asked for files', () => {
  it('is told of once, with what to do, and asked again once a minute', async () => {
    const { agent, clock, reader, told } = opened();
    agent.switchedOff.add('guest-file-open');
    for (let round = 0; round < 24; round += 1) {
      await reader.look();
      await pass(clock, 5_000);
    }
    assert.deepEqual(agent.asked, ['guest-info', 'guest-info']);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /block-rpcs/);
    assert.match(shown(reader.signals.committed), /^not-reported: .*allow-rpcs/);
    agent.switchedOff.clear();
    await reader.look();
    assert.ok(reader.signals.committed.known);
    assert.match(told[1] ?? '', /again/);
  });

  it('for as long as file systems are frozen keeps what it said before', async () => {
    const { agent, clock, reader, told } = opened();
    await reader.look();
    const before = reader.signals;
    for (const name of ['open', 'seek', 'read', 'close']) agent.switchedOff.add(`guest-file-${name}`);
    await pass(clock, 5_000);
    await reader.look();
    assert.deepEqual(reader.signals, before);
    agent.switchedOff.clear();
    await pass(clock, 60_000);
    await reader.look();
    assert.match(shown(reader.signals.committed), / at 66000$/);
    assert.equal(told.length, 2);
  });

  it('and one that answers nonsense to that question is taken for the same', async () => {
    for (const value of [null, [], { supported_commands: [{ name: 7 }] }, { supported_commands: 'all' }]) {
      const { agent, reader, told } = opened();
      agent.tamper = () => [line({ return: value })];
      await reader.look();
      assert.equal(told.length, 1);
      assert.ok(!reader.signals.committed.known);
    }
  });
});

describe('the end of reading', () => {
  it('leaves no file open in the guest, and asks for nothing more', async () => {
    const { agent, reader } = opened();
    await reader.look();
    assert.equal(agent.handles.size, 4);
    await reader.close(NEVER);
    assert.equal(agent.handles.size, 0);
    const asked = agent.requests.length;
    await reader.look();
    assert.equal(agent.requests.length, asked);
  });

  it('does not wait for an agent that is silent', async () => {
    const { agent, clock, reader } = opened();
    await reader.look();
    agent.tamper = () => [];
    void reader.look();
    await setImmediate();
    const closing = reader.close(clock.timeLimit(millis(1_000)));
    await pass(clock, 1_000);
    await closing;
    assert.deepEqual(agent.asked.slice(-2), ['guest-file-seek', 'guest-file-close']);
  });
});
