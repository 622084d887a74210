/**
 * Protects that slow agents in some guests make nobody else's agent unknown: the real sharing of virshs and the real reader of each domain, in
 * virtual time, over virshs that are made up.
 */
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { describe, it } from 'node:test';
import { DomainAgent } from '../../../src/hypervisors/libvirt/guest-agent.js';
import { Inside } from '../../../src/inside/index.js';
import { VirtualClock } from '../../../src/sim/index.js';
import { addMillis, millis } from '../../../src/units.js';
import { AgentSessions } from '../../../src/virsh/agent-sessions.js';
import { commandLine } from '../../../src/virsh/command.js';
import { closedByUs, refused, type VirshError } from '../../../src/virsh/errors.js';
import { agentWords, parseAgentAnswer } from '../../../src/virsh/guest-agent.js';
import { Sessions, type OneSession } from '../../../src/virsh/sessions.js';
import type { Virsh } from '../../../src/virsh/index.js';
import { FakeAgent } from '../../guest-agent/support/fake-agent.js';

const NEVER = new AbortController().signal;
// All that a test lets pass waits with it.
setMaxListeners(0, NEVER);
/** What a command takes of an agent that is well, in ms. */
const QUICK = 2;
const SLOW = 200;
/** libvirt waits so long for an agent. */
const HANGS = 3_000;
const CONNECTING = 31;

interface Guest {
  readonly uuid: string;
  readonly fake: FakeAgent;
  readonly agent: DomainAgent;
  readonly inside: Inside;
  /** Of each of its answers, in ms. */
  delay: number;
}

type Ask = Virsh['askAgent'];

class World {
  readonly clock = new VirtualClock();
  readonly guests: Guest[] = [];
  readonly told: string[] = [];
  /** Virshs that there are now, and were at most. */
  virshs = 0;
  virshsMax = 0;
  readonly #ask: Ask;

  constructor(delays: readonly number[], makeAsk = (world: World): Ask => world.shared()) {
    this.#ask = makeAsk(this);
    for (const [n, delay] of delays.entries()) this.#add(n, delay);
  }

  /** As the daemon has it. */
  shared(): Ask {
    const sessions = new AgentSessions(this.clock, () => this.open());
    return (uuid, command, signal, turn) => sessions.ask(uuid, command, signal, turn);
  }

  /** Another virsh only while all are held up for a quarter of a second, slow agents as any others. */
  unshared(): Ask {
    const sessions = new Sessions({
      ...{ clock: this.clock, open: () => this.open(), onEnd: () => undefined, sessionsMax: 4 },
      ...{ patience: millis(250), limit: millis(10_000) },
    });
    return async (uuid, command, signal, turn) => {
      turn?.onBegun?.();
      return parseAgentAnswer(await sessions.run(commandLine(agentWords(uuid, command)), signal));
    };
  }

  #add(n: number, delay: number): void {
    const uuid = `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
    const agent = new DomainAgent({
      ...{ uuid, clock: this.clock, connected: () => ({ askAgent: this.#ask }) },
      tell: (message) => this.told.push(message),
    });
    const inside = new Inside(this.clock, [agent]);
    this.guests.push({ uuid, fake: new FakeAgent('xen-guest-256-mib'), agent, inside, delay });
  }

  #guestIn(line: string): Guest {
    const found = this.guests.find(({ uuid }) => line.includes(uuid));
    if (found === undefined) throw new Error(`no guest of ours: ${line}`);
    return found;
  }

  /** A virsh: its first command waits until it is connected. */
  open(): OneSession {
    const { clock } = this;
    const later = (length: number): Promise<void> => clock.sleepUntil(addMillis(clock.now(), millis(length)), NEVER);
    let isConnected = false;
    let hasEnded = false;
    let tellEnd: (why: VirshError) => void = () => undefined;
    const ended = new Promise<VirshError>((resolve) => (tellEnd = resolve));
    this.virshs += 1;
    this.virshsMax = Math.max(this.virshsMax, this.virshs);
    return {
      pid: undefined,
      get hasEnded() {
        return hasEnded;
      },
      ended,
      run: async (line, { onBegun }) => {
        if (!isConnected) await later(CONNECTING);
        isConnected = true;
        onBegun?.();
        const { delay, fake } = this.#guestIn(line);
        await later(delay);
        if (delay === HANGS) throw refused(line, 'Guest agent is not responding: QEMU guest agent is not connected');
        return [JSON.stringify(fake.answer(requestIn(line)))];
      },
      close: () => {
        hasEnded = true;
        this.virshs -= 1;
        tellEnd(closedByUs());
      },
    };
  }

  /** Looks at all at once, every `interval` ms; gives for each round how many of those that are well are known by that very look. */
  async rounds(count: number, interval: number): Promise<readonly number[]> {
    const fresh: number[] = [];
    for (let round = 0; round < count; round += 1) {
      const began = this.clock.now();
      const next = addMillis(began, millis(interval));
      const isFresh = ({ agent, delay }: Guest): boolean => {
        const { committed, pressure } = agent.signals;
        return delay === QUICK && [committed, pressure].every((signal) => signal.known && signal.at >= began);
      };
      const looks = Promise.all(this.guests.map(({ inside }) => inside.look()));
      await this.clock.advanceTo(addMillis(this.clock.now(), millis(501)));
      await looks;
      fresh.push(this.guests.filter(isFresh).length);
      await this.clock.advanceTo(next);
    }
    return fresh;
  }
}

const requestIn = (line: string): Record<string, unknown> =>
  JSON.parse(/'(.*)'/s.exec(line)?.[1] ?? '') as Record<string, unknown>;

/** The slow ones first, which is where they hold up most. */
const mixed = (all: number, slow: number, delay = SLOW): number[] =>
  Array.from({ length: all }, (_, n) => (n < slow ? delay : QUICK));

const NOT_ANSWERING = /does not answer any more/;

describe('agents that are well beside slow ones', () => {
  for (const [slow, interval] of [
    [1, 1_000],
    [5, 5_000],
    [5, 1_000],
  ] as const) {
    it(`are all known at each round of ${interval} ms, ${slow} of 20 being slow`, async () => {
      const world = new World(mixed(20, slow));
      const fresh = await world.rounds(30, interval);
      assert.deepEqual(new Set(fresh.slice(1)), new Set([20 - slow]), fresh.join());
      assert.deepEqual(world.told, []);
      const old = new World(mixed(20, slow), (made) => made.unshared());
      const without = await old.rounds(30, interval);
      assert.ok(Math.max(...without.slice(1)) < 20 - slow, `one virsh for all holds them up: ${without.join()}`);
    });
  }

  it('are known, and the slow ones too, as far as two virshs can ask those', async () => {
    const world = new World(mixed(20, 5));
    await world.rounds(6, 5_000);
    for (const { agent } of world.guests) {
      const { committed } = agent.signals;
      assert.ok(committed.known && world.clock.now() - committed.at <= 10_000);
    }
  });

  it('are known within a round after some have begun to be slow, or to hang', async () => {
    for (const delay of [SLOW, HANGS]) {
      const world = new World(mixed(20, 0));
      await world.rounds(3, 1_000);
      for (const guest of world.guests.slice(0, 3)) guest.delay = delay;
      const fresh = await world.rounds(30, 1_000);
      assert.deepEqual(new Set(fresh.slice(2)), new Set([17]), fresh.join());
      const told = delay === HANGS ? 3 : 0;
      assert.equal(world.told.filter((text) => NOT_ANSWERING.test(text)).length, told);
    }
  });

  it('are known while forty agents never answer', async () => {
    const world = new World(mixed(60, 40, HANGS));
    // All of them are asked once before it is known.
    await world.rounds(9, 5_000);
    assert.deepEqual(new Set(await world.rounds(30, 5_000)), new Set([20]));
  });

  it('are known though some others are slow now and then', async () => {
    const world = new World(mixed(20, 8));
    for (const guest of world.guests.slice(0, 8)) {
      let asked = 0;
      Object.defineProperty(guest, 'delay', { get: () => ((asked += 1) % 3 === 0 ? 2 * SLOW : 3) });
    }
    const fresh = await world.rounds(30, 5_000);
    assert.deepEqual(new Set(fresh.slice(2)), new Set([12]), fresh.join());
  });

  it('include those that were slow, some looks later', async () => {
    // Two at a time of those that never answer are in the way of those that are slow.
    const world = new World([...mixed(12, 12, HANGS), ...mixed(20, 5)]);
    await world.rounds(12, 5_000);
    for (const guest of world.guests) if (guest.delay === SLOW) guest.delay = QUICK;
    await world.rounds(12, 5_000);
    const fresh = await world.rounds(30, 5_000);
    assert.deepEqual(new Set(fresh), new Set([20]), fresh.join());
  });

  it('do not keep a slow one from being asked, however many they are', async () => {
    const world = new World([SLOW, ...Array.from({ length: 60 }, () => 20)]);
    await world.rounds(20, 1_000);
    const { pressure } = world.guests[0]?.agent.signals ?? {};
    assert.ok(pressure?.known === true && world.clock.now() - pressure.at <= 5_000);
  });
});

describe('the virshs for agents', () => {
  it('are one where few are asked, four where many are, and one again when nobody needs more', async () => {
    const few = new World(mixed(5, 0));
    await few.rounds(5, 1_000);
    assert.equal(few.virshsMax, 1);
    const many = new World(mixed(200, 0));
    await many.rounds(5, 1_000);
    assert.equal(many.virshs, 4);
    await many.clock.advanceTo(addMillis(many.clock.now(), millis(60_000)));
    assert.equal(many.virshs, 1);
  });
});

describe('an agent that waits for its turn', () => {
  it('is not silent meanwhile, and is asked as often as ever', async () => {
    let isBegun = false;
    const asked: AbortSignal[] = [];
    const clock = new VirtualClock();
    const told: string[] = [];
    const agent = new DomainAgent({
      ...{ uuid: '00000000-0000-4000-8000-000000000001', clock, tell: (message) => told.push(message) },
      connected: () => ({
        askAgent: (_uuid, _command, signal, turn) => {
          asked.push(signal);
          if (isBegun) turn?.onBegun?.();
          return new Promise(() => undefined);
        },
      }),
    });
    const lookFor10s = async (): Promise<void> => {
      const look = agent.look();
      await clock.advanceTo(addMillis(clock.now(), millis(10_000)));
      await look;
    };
    for (let round = 0; round < 3; round += 1) await lookFor10s();
    assert.equal(asked.length, 3);
    const { committed } = agent.signals;
    assert.ok(!committed.known && /was not asked for guest-info in time: others/.test(committed.detail));
    isBegun = true;
    await lookFor10s();
    await agent.look();
    assert.equal(asked.length, 4, 'whoever was asked and did not answer is left alone');
  });
});
