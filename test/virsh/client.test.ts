/** Protects that one domain which does not answer holds up no other, and that a lost libvirt is noticed and leaves no process behind. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { VirtualClock } from '../../src/sim/index.js';
import { addMillis, millis } from '../../src/units.js';
import {
  DOMAIN_STATS,
  LIST_DOMAINS,
  openVirsh,
  VirshError,
  type DomainEvent,
  type Virsh,
} from '../../src/virsh/index.js';
import { patience, until } from '../qmp/support/opened.js';
import type { FakeDomain } from './support/fake-libvirt.js';
import { FakeVirsh } from './support/fake-virsh.js';

const NEVER = new AbortController().signal;

interface Rig {
  readonly fake: FakeVirsh;
  readonly virsh: Virsh;
  readonly clock: VirtualClock;
  readonly events: DomainEvent[];
  gaps: number;
  readonly pass: (length: number) => Promise<void>;
}

async function open(test: TestContext): Promise<Rig> {
  const fake = FakeVirsh.start(test);
  const clock = new VirtualClock();
  const events: DomainEvent[] = [];
  const rig = { gaps: 0 };
  const onGap = (): void => void (rig.gaps += 1);
  const virsh = await openVirsh(
    { uri: 'qemu:///fake', clock, program: fake.program, onGap, onEvent: (event) => events.push(event) },
    patience(),
  );
  test.after(() => virsh.close());
  await until('it listens', () => fake.libvirt.isHeard);
  const pass = (length: number): Promise<void> => clock.advanceTo(addMillis(clock.now(), millis(length)));
  return Object.assign(rig, { fake, virsh, clock, events, pass });
}

const setmem = ({ uuid }: FakeDomain, size: number): readonly string[] => ['setmem', uuid, String(size), '--live'];

describe('a connection through virsh', () => {
  it('is three processes, of which one alone may change anything', async (test) => {
    const { fake, virsh } = await open(test);
    assert.equal(fake.running.length, 3);
    assert.equal(fake.running.filter(({ args }) => !args.includes('-r')).length, 1);
    assert.equal(virsh.pids.length, 3);
    await virsh.close();
    assert.deepEqual(await virsh.closed, { kind: 'closed' });
    await until('none is left', () => fake.running.length === 0);
    assert.deepEqual(virsh.pids, []);
  });

  it('hands on events, and says where some may have been missed', async (test) => {
    const rig = await open(test);
    assert.equal(rig.gaps, 1);
    rig.fake.libvirt.emit('rtc-change', 'web', '400000');
    rig.fake.libvirt.emit('lifecycle', 'web', 'Started Booted');
    await until('one has come', () => rig.events.length > 0);
    assert.deepEqual(rig.events, [{ kind: 'lifecycle', domain: 'web', detail: 'Started Booted' }]);
  });

  it('sets others while a domain does not answer, and sets that one when it does', async (test) => {
    const { fake, virsh, pass } = await open(test);
    const [one, two] = [fake.libvirt.add('one'), fake.libvirt.add('two')];
    let release = (): void => undefined;
    one.held = new Promise((resolve) => (release = resolve));
    const slow = virsh.act(setmem(one, 1_000), NEVER);
    await until('the first was asked', () => fake.libvirt.asked.some((line) => line.includes(one.uuid)));
    const quick = virsh.act(setmem(two, 2_000), NEVER);
    await pass(1_001);
    await quick;
    assert.deepEqual([one.target, two.target], [null, 2_000]);
    release();
    await slow;
    assert.equal(one.target, 1_000);
    await until('what was added is gone', () => fake.running.length === 3);
  });

  it('sets others at once while a domain does not answer what can wait', async (test) => {
    const { fake, virsh } = await open(test);
    const [one, two] = [fake.libvirt.add('one'), fake.libvirt.add('two')];
    let release = (): void => undefined;
    one.held = new Promise((resolve) => (release = resolve));
    const slow = virsh.actAside(['dommemstat', one.uuid, '--period', '0', '--live'], NEVER);
    await until('the first was asked', () => fake.libvirt.asked.some((line) => line.includes(one.uuid)));
    await virsh.act(setmem(two, 2_000), NEVER);
    assert.equal(two.target, 2_000);
    release();
    await slow;
  });

  it('sets others within two seconds though five do not answer, of whom nobody knew', async (test) => {
    const { fake, virsh, pass } = await open(test);
    const held = new Promise<void>(() => undefined);
    const hung = Array.from({ length: 5 }, (_, n) => fake.libvirt.add(`d${n}`, { held }));
    const calls = hung.map((domain) => virsh.act(setmem(domain, 1), NEVER).catch((error: unknown) => error));
    const healthy = fake.libvirt.add('healthy');
    const quick = virsh.act(setmem(healthy, 2_000), NEVER);
    for (const [place, { uuid }] of hung.entries()) {
      await until(`${place} was asked`, () => fake.libvirt.asked.some((line) => line.includes(uuid)));
      await pass(400);
    }
    await until('the healthy one was set', () => healthy.target === 2_000);
    await quick;
    await virsh.close();
    await Promise.all(calls);
  });

  it('sets others at once however many do not answer that are known not to', async (test) => {
    const { fake, virsh } = await open(test);
    const held = new Promise<void>(() => undefined);
    const hung = Array.from({ length: 30 }, (_, n) => fake.libvirt.add(`d${n}`, { held }));
    const calls = hung.map((domain) => virsh.actApart(setmem(domain, 1), NEVER).catch((error: unknown) => error));
    const healthy = fake.libvirt.add('healthy');
    await virsh.act(setmem(healthy, 2_000), NEVER);
    assert.equal(healthy.target, 2_000);
    await virsh.close();
    await Promise.all(calls);
  });

  it('gives up on a domain that does not answer for 45 s, and says that it may happen', async (test) => {
    const { fake, virsh, pass } = await open(test);
    const one = fake.libvirt.add('one', { held: new Promise(() => undefined) });
    const slow = virsh.act(setmem(one, 1_000), NEVER);
    const failing = assert.rejects(
      slow,
      (error) => error instanceof VirshError && error.virshCode === 'ETIMEDOUT' && error.mayHaveHappened,
    );
    await until('it was asked', () => fake.libvirt.asked.some((line) => line.includes(one.uuid)));
    await pass(45_001);
    await failing;
    one.held = null;
    await virsh.act(setmem(one, 3_000), NEVER);
    assert.equal(one.target, 3_000);
  });

  it('is not more than eight processes that wait, however many domains do not answer', async (test) => {
    const { fake, virsh, pass } = await open(test);
    const held = new Promise<void>(() => undefined);
    const domains = Array.from({ length: 12 }, (_, n) => fake.libvirt.add(`d${n}`, { held }));
    const calls = domains.map((domain) => virsh.act(setmem(domain, 1), NEVER).catch((error: unknown) => error));
    for (let waited = 0; waited < 12; waited += 1) {
      await pass(1_001);
      const asked = (): number => fake.libvirt.asked.filter((line) => line.startsWith('setmem')).length;
      await until('the next was asked', () => asked() >= Math.min(waited + 1, 8));
    }
    assert.equal(fake.running.length, 8 + 2);
    await virsh.close();
    assert.ok((await Promise.all(calls)).every((error) => error instanceof VirshError));
  });

  it('does not begin what nobody waits for any more', async (test) => {
    const { fake, virsh } = await open(test);
    const one = fake.libvirt.add('one');
    await assert.rejects(virsh.act(setmem(one, 1), AbortSignal.abort()), /not asked in time/);
    await virsh.act(['uri'], NEVER);
    assert.equal(one.target, null);
  });

  it('gives up at once what waits and has no time left, and leaves nothing at its signal', async (test) => {
    const { fake, virsh } = await open(test);
    const one = fake.libvirt.add('one', { held: new Promise(() => undefined) });
    const calls = [1, 2, 3, 4].map((size) => virsh.actApart(setmem(one, size), NEVER).catch((error: unknown) => error));
    await until('one was asked', () => fake.libvirt.asked.some((line) => line.startsWith('setmem')));
    const limit = new AbortController();
    const waiting = virsh.actApart(setmem(one, 5), limit.signal);
    assert.equal(getEventListeners(limit.signal, 'abort').length, 1);
    limit.abort();
    await assert.rejects(waiting, (error) => error instanceof VirshError && !error.mayHaveHappened);
    const signal = new AbortController().signal;
    const closing = virsh.actApart(setmem(one, 6), signal).catch((error: unknown) => error);
    const begun = new AbortController().signal;
    await virsh.look(['uri'], begun);
    await virsh.close();
    assert.ok((await closing) instanceof VirshError);
    for (const left of [limit.signal, signal, begun]) assert.equal(getEventListeners(left, 'abort').length, 0);
    await Promise.all(calls);
    assert.ok(!fake.libvirt.asked.some((line) => /setmem \S+ [56]/.test(line)));
  });

  it('probes ten at a time, each for a second, and ends with all that are under way', async (test) => {
    const { fake, virsh, pass } = await open(test);
    fake.libvirt.tamper = (line) => (line.startsWith('domstats') ? new Promise(() => undefined) : undefined);
    const asked = (): number => fake.libvirt.asked.filter((line) => line.startsWith('domstats')).length;
    const probe = (): Promise<unknown> => virsh.probe(DOMAIN_STATS, NEVER).catch((error: unknown) => error);
    const first = probe();
    await until('it was asked', () => asked() === 1);
    await pass(1_001);
    assert.match(String(await first), /within 1000 ms/);
    const others = Array.from({ length: 12 }, probe);
    for (let begun = 1; begun <= 10; begun += 1) {
      await until(`${begun} were asked`, () => asked() >= 1 + begun);
      await pass(60);
    }
    assert.equal(asked(), 11);
    await virsh.close();
    await Promise.all(others);
    await until('none is left', () => fake.running.length === 0);
  });

  it('ends with all that was asked apart from others', async (test) => {
    const { fake, virsh } = await open(test);
    const one = fake.libvirt.add('one', { held: new Promise(() => undefined) });
    const call = virsh.actApart(setmem(one, 1), NEVER).catch((error: unknown) => error);
    await until('it was asked', () => fake.libvirt.asked.some((line) => line.startsWith('setmem')));
    assert.equal(fake.running.length, 4);
    await virsh.close();
    assert.ok((await call) instanceof VirshError);
    await until('none is left', () => fake.running.length === 0);
  });

  it('lets nobody who waits have the end of somebody else’s command for an answer', async (test) => {
    const { fake, virsh, pass } = await open(test);
    const [hostile, victim] = [fake.libvirt.add('hostile').uuid, fake.libvirt.add('victim').uuid];
    fake.libvirt.tamper = (line) => {
      if (line.startsWith('list')) return new Promise(() => undefined);
      if (line.includes(hostile)) return `${'x'.repeat(2 ** 21)}\n`;
      return line.startsWith('qemu-agent') ? '{"return":7}\n\n' : undefined;
    };
    const hung = assert.rejects(virsh.look(LIST_DOMAINS, NEVER), /within 3000 ms/);
    const looked = virsh.look(['uri'], NEVER);
    await until('it was asked', () => fake.libvirt.asked.some((line) => line.startsWith('list')));
    await pass(3_001);
    await Promise.all([hung, looked]);
    const flooded = assert.rejects(virsh.askAgent(hostile, { execute: 'guest-info' }, NEVER), /more than 1048576/);
    const asked = virsh.askAgent(victim, { execute: 'guest-info' }, NEVER);
    await flooded;
    assert.equal(await asked, 7);
  });

  it('looks again after a look that hung, which cost one process and nothing else', async (test) => {
    const { fake, virsh, pass } = await open(test);
    let isHanging = true;
    fake.libvirt.tamper = (line) => (isHanging && line.startsWith('list') ? new Promise(() => undefined) : undefined);
    const failing = assert.rejects(virsh.look(LIST_DOMAINS, NEVER), /within 3000 ms/);
    await until('it was asked', () => fake.libvirt.asked.some((line) => line.startsWith('list')));
    await pass(3_001);
    await failing;
    isHanging = false;
    fake.libvirt.add('one');
    assert.equal((await virsh.look(LIST_DOMAINS, NEVER)).length, 1);
    await until('one took its place', () => fake.running.length === 3);
    assert.equal((await virsh.look(LIST_DOMAINS, NEVER)).length, 1);
    assert.equal(fake.running.length, 3);
  });

  it('ends as a whole when libvirt is gone, whichever of its processes says so first', async (test) => {
    for (const which of [0, 1, 2]) {
      const { fake, virsh } = await open(test);
      fake.running[which]?.say('error: Disconnected from qemu:///fake due to end of file\n');
      fake.running[which]?.crash();
      const end = await virsh.closed;
      assert.equal(end.kind, 'lost');
      await until('none is left', () => fake.running.length === 0);
    }
  });

  it('is not made where nobody answers, and leaves nothing behind', async (test) => {
    const fake = FakeVirsh.start(test);
    fake.libvirt.tamper = () => new Promise(() => undefined);
    const limit = new AbortController();
    const options = { uri: 'x', clock: new VirtualClock(), program: fake.program, onEvent() {}, onGap() {} };
    const opening = openVirsh(options, limit.signal);
    await until('two have begun', () => fake.processes.length === 2);
    limit.abort();
    await assert.rejects(opening, (error) => error instanceof VirshError && error.virshCode === 'ETIMEDOUT');
    await until('none is left', () => fake.running.length === 0);
  });
});

describe('the agent in a guest', () => {
  const ask = { execute: 'guest-ping', arguments: { text: "it's ü" } };

  it('is asked through libvirt, and its return is handed on', async (test) => {
    const { fake, virsh } = await open(test);
    const { uuid } = fake.libvirt.add('one');
    fake.libvirt.tamper = (line) => (line.startsWith('qemu-agent') ? '{"return":{"count":3}}\n\n' : undefined);
    assert.deepEqual(await virsh.askAgent(uuid, ask, NEVER), { count: 3 });
    assert.equal(
      fake.libvirt.asked.at(-1),
      `qemu-agent-command ${uuid} '{"execute":"guest-ping","arguments":{"text":"it\\u0027s \\u00fc"}}' --timeout 3`,
    );
  });

  it('that answers nonsense, or without end, hurts nothing but its own call', async (test) => {
    const { fake, virsh } = await open(test);
    const { uuid } = fake.libvirt.add('one');
    for (const answer of ['[]\n', '{"error":{}}\n', 'x\n', `{"return":"${'x'.repeat(2 ** 21)}"}\n`]) {
      fake.libvirt.tamper = (line) => (line.startsWith('qemu-agent') ? answer : undefined);
      await assert.rejects(virsh.askAgent(uuid, ask, NEVER), VirshError);
    }
    await assert.rejects(virsh.askAgent('one', ask, NEVER), VirshError);
    assert.deepEqual(await virsh.look(['uri'], NEVER), ['qemu:///fake']);
    assert.ok(fake.libvirt.isHeard);
  });
});
