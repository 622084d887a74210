/** Protects what a domain's guest says by its agents: it is known through libvirt too, and nobody's silence or nonsense costs others. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { FakeGuest } from '../../agent-port/support/fake-guest.js';
import { FakeAgent } from '../../guest-agent/support/fake-agent.js';
import { until } from '../../qmp/support/opened.js';
import { reportText } from '../../support/report-text.js';
import type { FakeDomain } from '../../virsh/support/fake-libvirt.js';
import { Rig } from './support/rig.js';

const channel = (name: string, path: string): string =>
  `<channel type='unix'><source mode='bind' path='${path}'/><target type='virtio' name='${name}'/></channel>`;
const AGENT = channel('org.qemu.guest_agent.0', '/run/qga');

/** libvirt carries its words to this agent, and the answers back as libvirt 9.0 does. */
function attach(rig: Rig, domain: FakeDomain, agent: FakeAgent, isConnected = (): boolean => true): void {
  rig.libvirt.tamper = (line) => {
    const [, text] = /^qemu-agent-command (?:\S+) '(.*)' --timeout \d+$/s.exec(line) ?? [];
    if (text === undefined || !line.includes(domain.uuid)) return undefined;
    if (!isConnected()) return '\nerror: Guest agent is not responding: QEMU guest agent is not connected\n';
    const request = JSON.parse(text) as { readonly execute: string };
    agent.requests.push(request);
    const answer = agent.answer(request);
    if (!('error' in answer)) return `${JSON.stringify(answer)}\n\n`;
    const { desc } = answer['error'] as { readonly desc: string };
    return `\nerror: internal error: unable to execute QEMU agent command '${request.execute}': ${desc}\n`;
  };
}

type Choice = ConstructorParameters<typeof Rig>[0];

async function opened(test: TestContext, devices: string, choice?: Choice): Promise<[Rig, FakeDomain]> {
  const rig = new Rig(choice);
  test.after(() => rig.host.close());
  const domain = rig.libvirt.add('one', { devices });
  rig.libvirt.add('two');
  rig.watch();
  await rig.untilLog('came libvirt/one', 'came libvirt/two');
  return [rig, domain];
}

/** Whether each question from now on has the turn of an agent that is slow. */
function noteTurns({ connection }: Rig): readonly boolean[] {
  const turns: boolean[] = [];
  const ask = connection.askAgent.bind(connection);
  connection.askAgent = (uuid, command, signal, turn) => {
    turns.push(turn?.isSlow ?? false);
    return ask(uuid, command, signal, turn);
  };
  return turns;
}

const committedOf = async (rig: Rig, guest: string): Promise<unknown> => {
  const { committed } = await rig.reading(guest);
  return committed.known ? 'known' : committed.reason;
};

describe('QEMU’s agent in a domain', () => {
  it('is asked through libvirt, and only where the domain has a channel for it', async (test) => {
    const agent = new FakeAgent('xen-guest-256-mib');
    const [rig, domain] = await opened(test, AGENT);
    attach(rig, domain, agent);
    assert.equal(await committedOf(rig, 'libvirt/one'), 'known');
    assert.equal(await committedOf(rig, 'libvirt/two'), 'not-reported');
    const { reserve, refaults, swapTotal } = await rig.reading('libvirt/one');
    assert.ok(reserve.known && refaults.known && swapTotal.known);
    const countOpens = (): number => agent.asked.filter((name) => name === 'guest-file-open').length;
    const opens = countOpens();
    await rig.reading('libvirt/one');
    assert.equal(countOpens(), opens, 'handles are used again');
  });

  it('that was started again is asked for its files anew', async (test) => {
    const agent = new FakeAgent('xen-guest-256-mib');
    const [rig, domain] = await opened(test, AGENT);
    attach(rig, domain, agent);
    assert.equal(await committedOf(rig, 'libvirt/one'), 'known');
    agent.restart();
    await rig.pass(5_000);
    const { committed, at } = await rig.reading('libvirt/one');
    assert.ok(committed.known && committed.at === at);
  });

  const news: readonly (readonly [string, (rig: Rig, domain: FakeDomain) => void, boolean])[] = [
    [
      'reboots',
      ({ libvirt }) => {
        libvirt.emitPlain('reboot', 'one');
      },
      true,
    ],
    [
      'has another agent',
      ({ libvirt }) => {
        libvirt.emit('agent-lifecycle', 'one', "state: 'disconnected' reason: 'channel event'");
      },
      true,
    ],
    [
      'is started',
      ({ libvirt }, domain) => {
        libvirt.restart(domain);
      },
      true,
    ],
    [
      'goes on as it was at a snapshot',
      ({ libvirt }) => {
        libvirt.emit('lifecycle', 'one', 'Resumed Snapshot');
      },
      true,
    ],
    [
      'may have rebooted, unheard',
      ({ connection }) => {
        connection.lose();
      },
      true,
    ],
    [
      'was suspended',
      ({ libvirt }) => {
        libvirt.emit('lifecycle', 'one', 'Resumed Unpaused');
      },
      false,
    ],
    [
      'is nobody’s neighbour',
      ({ libvirt }) => {
        libvirt.emitPlain('reboot', 'two');
      },
      false,
    ],
  ];
  for (const [what, happen, isNewBoot] of news) {
    it(`has ${isNewBoot ? 'no handles of ours any more' : 'our handles'} in a guest that ${what}`, async (test) => {
      const agent = new FakeAgent('xen-guest-256-mib');
      const [rig, domain] = await opened(test, AGENT);
      attach(rig, domain, agent);
      assert.equal(await committedOf(rig, 'libvirt/one'), 'known');
      await rig.pass(2_000);
      if (isNewBoot) agent.reboot();
      const others = isNewBoot ? Array.from({ length: 4 }, () => agent.openForOther('/x', 'another text', 5)) : [];
      const own = isNewBoot ? [] : [...agent.handles.values()];
      happen(rig, domain);
      await rig.pass(5_000);
      agent.requests.length = 0;
      const { committed, at } = await rig.reading('libvirt/one');
      assert.ok(committed.known && committed.at === at);
      assert.equal(agent.asked.includes('guest-file-open'), isNewBoot);
      for (const { position } of others) assert.equal(position, 5);
      if (!isNewBoot) assert.deepEqual([...agent.handles.values()], own);
      await rig.host.close();
      assert.deepEqual([...agent.handles.values()], others);
    });
  }

  it('is not sent what waited for its turn while its guest rebooted', async (test) => {
    const agent = new FakeAgent('xen-guest-256-mib');
    const [rig, domain] = await opened(test, AGENT);
    attach(rig, domain, agent);
    assert.equal(await committedOf(rig, 'libvirt/one'), 'known');
    const waiting: AbortSignal[] = [];
    rig.connection.askAgent = (_uuid, _command, signal) => {
      waiting.push(signal);
      return new Promise(() => undefined);
    };
    const look = rig.look(['libvirt/one']);
    await until('something waits', () => waiting.length === 1);
    assert.ok(waiting[0]?.aborted === false);
    rig.libvirt.emitPlain('reboot', 'one');
    assert.equal(waiting[0].aborted, true);
    await look;
  });

  it('that does not answer is no reason to leave statistics on at the end', async (test) => {
    const [rig, domain] = await opened(test, AGENT);
    await until('its statistics are on', () => domain.period === 1);
    rig.libvirt.tamper = (line) => (line.startsWith('qemu-agent') ? new Promise(() => undefined) : undefined);
    const look = rig.look(['libvirt/one']);
    await until('it is asked', () => rig.libvirt.asked.some((line) => line.startsWith('qemu-agent')));
    await rig.pass(501);
    await look;
    const closing = rig.host.close();
    await rig.pass(3_000);
    await closing;
    assert.equal(domain.period, 0);
  });

  it('that hangs is asked ever less often, so that the others are, and as often as ever when it answers again', async (test) => {
    const agent = new FakeAgent('xen-guest-256-mib');
    const [rig, domain] = await opened(test, AGENT);
    attach(rig, domain, agent);
    const answers = rig.libvirt.tamper;
    let isHanging = true;
    let asked = 0;
    rig.libvirt.tamper = (line) => {
      if (!line.startsWith('qemu-agent')) return undefined;
      asked += 1;
      return isHanging ? rig.after(3_000, '\nerror: Guest agent is not responding\n') : answers(line);
    };
    const lookEverySecond = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second += 1) {
        const look = rig.look(['libvirt/one']);
        await rig.pass(1_000);
        await look;
      }
    };
    await lookEverySecond(300);
    // After 3 s each, and pauses of 5, 10, 20, 40, and then 60 s.
    assert.equal(asked, 8);
    isHanging = false;
    await lookEverySecond(60);
    assert.equal(await committedOf(rig, 'libvirt/one'), 'known');
    // Whoever takes its place was not silent yet.
    isHanging = true;
    await lookEverySecond(120);
    agent.restart();
    isHanging = false;
    rig.libvirt.emit('agent-lifecycle', 'one', "state: 'connected' reason: 'channel event'");
    await rig.pass(1_000);
    const { committed, at } = await rig.reading('libvirt/one');
    assert.ok(committed.known && committed.at === at);
    await rig.pass(60_000);
    await lookEverySecond(5);
    rig.told.length = 0;
    assert.equal(await committedOf(rig, 'libvirt/one'), 'known');
    asked = 0;
    await lookEverySecond(5);
    assert.ok(asked >= 5);
    // One that has answered may be in a guest that is short of everything just now: it is asked again soon, after 1, 2, 4 and 8 s.
    isHanging = true;
    asked = 0;
    await lookEverySecond(28);
    isHanging = false;
    await rig.pass(4_000);
    assert.equal(asked, 5);
    assert.equal(rig.told.filter((text) => /guest agent does not answer any more/.test(text)).length, 1);
  });

  it('that takes the place of one that hung is asked at once, and is not called silent for the other', async (test) => {
    const agent = new FakeAgent('xen-guest-256-mib');
    const [rig, domain] = await opened(test, AGENT);
    attach(rig, domain, agent);
    const answers = rig.libvirt.tamper;
    assert.equal(await committedOf(rig, 'libvirt/one'), 'known');
    let hanging = 0;
    rig.libvirt.tamper = (line) => {
      if (!line.startsWith('qemu-agent')) return undefined;
      hanging += 1;
      return rig.after(3_000, '\nerror: Guest agent is not responding\n');
    };
    const look = rig.look(['libvirt/one']);
    await until('it hangs', () => hanging > 0);
    await rig.pass(1_500);
    agent.restart();
    rig.libvirt.tamper = answers;
    rig.libvirt.emit('agent-lifecycle', 'one', "state: 'connected' reason: 'channel event'");
    await look;
    const turns = noteTurns(rig);
    const { committed, at } = await rig.reading('libvirt/one');
    assert.ok(committed.known && committed.at === at);
    assert.ok(turns.length > 0 && !turns.includes(true), 'it has the turn of one that is slow');
    assert.deepEqual(
      rig.told.filter((text) => /does not answer/.test(text)),
      [],
    );
  });

  it('that hangs and comes anew each second is asked little more often than one that hangs, and as a slow one', async (test) => {
    const [rig] = await opened(test, AGENT);
    let asked = 0;
    const turns = noteTurns(rig);
    rig.libvirt.tamper = (line) => {
      if (!line.startsWith('qemu-agent')) return undefined;
      asked += 1;
      return rig.after(3_000, '\nerror: Guest agent is not responding\n');
    };
    for (let second = 0; second < 120; second += 1) {
      const look = rig.look(['libvirt/one']);
      await rig.pass(1_000);
      await look;
      for (const state of ['disconnected', 'connected'])
        rig.libvirt.emit('agent-lifecycle', 'one', `state: '${state}' reason: 'channel event'`);
    }
    test.diagnostic(`asked ${asked} times in two minutes`);
    // Each 30 s anew: at once, and after pauses of 5 and 10 s.
    assert.ok(asked <= 16, `${asked} times`);
    const quick = turns.filter((isSlow) => !isSlow).length;
    assert.ok(quick <= 2, `${quick} of ${turns.length} turns were a quick one's`);
  });

  it('that is not there, or has commands switched off, makes its own guest unknown and no other', async (test) => {
    const agent = new FakeAgent('xen-guest-256-mib');
    const [rig, domain] = await opened(test, AGENT);
    let isConnected = false;
    attach(rig, domain, agent, () => isConnected);
    assert.equal(await committedOf(rig, 'libvirt/one'), 'not-reported');
    assert.ok((await rig.reading('libvirt/one')).current.known);
    assert.deepEqual(rig.told, []);
    isConnected = true;
    for (const name of ['guest-file-open', 'guest-file-read']) agent.switchedOff.add(name);
    assert.equal(await committedOf(rig, 'libvirt/one'), 'not-reported');
    assert.match(rig.told.join('\n'), /libvirt\/one: its guest agent has the commands for files switched off/);
  });

  it('is left in peace where that is switched off', async (test) => {
    const agent = new FakeAgent('xen-guest-256-mib');
    const [rig, domain] = await opened(test, AGENT, { asksAgent: false, hearsOwn: true });
    attach(rig, domain, agent);
    assert.equal(await committedOf(rig, 'libvirt/one'), 'not-reported');
    assert.deepEqual(agent.asked, []);
  });
});

describe('our own agent in a domain', () => {
  it('is heard over its channel’s socket, and its alarm is told of its own guest', async (test) => {
    const guest = new FakeGuest(test);
    await guest.start();
    const [rig] = await opened(test, channel('org.selfballoon.0', guest.path));
    await until('the channel is connected to', () => guest.clients.length > 0);
    guest.client.write(`${reportText(1)}\n`);
    while ((await committedOf(rig, 'libvirt/one')) !== 'known') await rig.pass(10);
    assert.equal(await committedOf(rig, 'libvirt/two'), 'not-reported');
    guest.client.write(`${reportText(2, { alarms: 1, alarm: 'low' })}\n`);
    for (let turn = 0; turn < 1_000 && !rig.log.includes('alarm libvirt/one'); turn += 1) await rig.pass(10);
    assert.deepEqual(rig.log.slice(2), ['alarm libvirt/one']);
  });

  it('is nobody’s while two domains have its socket, and is the other’s when one of them is gone', async (test) => {
    const guest = new FakeGuest(test);
    await guest.start();
    const rig = new Rig();
    test.after(() => rig.host.close());
    const devices = channel('org.selfballoon.0', guest.path);
    const one = rig.libvirt.add('one', { devices });
    rig.watch();
    await rig.untilLog('came libvirt/one');
    await until('the channel is connected to', () => guest.clients.length === 1);
    guest.client.write(`${reportText(1)}\n`);
    while ((await committedOf(rig, 'libvirt/one')) !== 'known') await rig.pass(10);
    rig.libvirt.add('two', { devices });
    rig.libvirt.emit('lifecycle', 'two', 'Started Booted');
    await rig.untilLog('came libvirt/one', 'came libvirt/two');
    const names = ['libvirt/one', 'libvirt/two'];
    for (let second = 0; second < 30; second += 1) {
      for (const name of names) assert.equal(await committedOf(rig, name), 'not-reported');
      await rig.pass(1_000);
      for (const client of guest.clients) if (!client.destroyed) client.write(`${reportText(second + 2)}\n`);
    }
    const refusals = rig.told.filter((text) => /its own agent is not listened to/.test(text));
    assert.deepEqual(refusals.sort(), rig.told.toSorted());
    assert.equal(refusals.length, 2);
    assert.match(
      refusals[0] ?? '',
      /^libvirt\/one: .*: libvirt\/two has a channel at "[^"]*" too, .* a path of its own$/,
    );
    rig.libvirt.remove(one);
    await rig.untilLog('came libvirt/one', 'came libvirt/two', 'left libvirt/one');
    for (let turn = 0; (await committedOf(rig, 'libvirt/two')) !== 'known'; turn += 1) {
      assert.ok(turn < 1_000, 'two is heard again');
      await rig.pass(100);
      for (const client of guest.clients) if (!client.destroyed) client.write(`${reportText(100 + turn)}\n`);
    }
  });

  it('is let go of with its domain', async (test) => {
    const guest = new FakeGuest(test);
    await guest.start();
    const [rig, domain] = await opened(test, channel('org.selfballoon.0', guest.path));
    await until('the channel is connected to', () => guest.clients.length > 0);
    let isClosed = false;
    guest.client.on('close', () => (isClosed = true)).resume();
    rig.libvirt.remove(domain);
    await rig.untilLog('came libvirt/one', 'came libvirt/two', 'left libvirt/one');
    await until('the connection has ended', () => isClosed);
  });
});
