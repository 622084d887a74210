/** Protects the daemon from a virsh that hangs, floods, dies or talks nonsense, and answers from being taken for others. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { VirtualClock } from '../../src/sim/index.js';
import { millis, type Millis } from '../../src/units.js';
import { VirshError, type VirshCode } from '../../src/virsh/index.js';
import { Session } from '../../src/virsh/session.js';
import { until } from '../qmp/support/opened.js';
import { FakeVirsh } from './support/fake-virsh.js';

const LIMIT: Millis = millis(1_000);

interface Rig {
  readonly fake: FakeVirsh;
  readonly session: Session;
  readonly clock: VirtualClock;
}

function open(test: TestContext, prepare: (fake: FakeVirsh) => void = () => undefined, isReadOnly = true): Rig {
  const fake = FakeVirsh.start(test);
  prepare(fake);
  const clock = new VirtualClock();
  const session = new Session({ uri: 'qemu:///fake', isReadOnly, clock, program: fake.program });
  test.after(() => {
    session.close();
  });
  return { fake, session, clock };
}

const failsWith =
  (code: VirshCode, message = /./, mayHaveHappened?: boolean) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof VirshError, String(error));
    assert.equal(error.virshCode, code, error.message);
    assert.match(error.message, message);
    if (mayHaveHappened !== undefined) assert.equal(error.mayHaveHappened, mayHaveHappened);
    return true;
  };

describe('a session', () => {
  it('answers each command with what that one printed, over the connection that was asked for', async (test) => {
    const { fake, session } = open(test);
    fake.libvirt.add('web');
    assert.deepEqual(await session.run('uri', { limit: LIMIT }), ['qemu:///fake']);
    assert.deepEqual(await session.run('list --uuid --name', { limit: LIMIT }), [
      '00000000-0000-4000-8000-000000000001 web',
    ]);
    assert.deepEqual(fake.processes[0]?.args, ['-r', '-c', 'qemu:///fake']);
  });

  it('that may change something is not read-only', async (test) => {
    const { fake, session } = open(test, undefined, false);
    await session.run('uri', { limit: LIMIT });
    assert.ok(!fake.processes[0]?.args.includes('-r'));
  });

  it('starts no libvirtd of its user, which would end with the last question, and has virsh speak as it is understood', async (test) => {
    const { fake, session } = open(test);
    await session.run('uri', { limit: LIMIT });
    for (const variable of ['LIBVIRT_AUTOSTART=0', 'LC_ALL=C', 'TERM=dumb', 'INPUTRC=/dev/null', 'VIRSH_HISTSIZE=0'])
      assert.ok(fake.environment.has(variable), variable);
  });

  it('gives lines as they come where that is wanted', async (test) => {
    const { fake, session } = open(test);
    const lines: string[] = [];
    const running = session.run('event --all', { limit: millis(1e9), onLine: (line) => lines.push(line) });
    await until('somebody listens', () => fake.libvirt.isHeard);
    fake.libvirt.emit('lifecycle', 'web', 'Started Booted');
    await until('a line came', () => lines.length === 1);
    assert.match(lines[0] ?? '', /event 'lifecycle' for domain 'web': Started Booted$/);
    session.close();
    await assert.rejects(running, failsWith('EUNAVAILABLE', /closed by this program/));
  });

  it('is refused with libvirt’s words, and goes on', async (test) => {
    const { session } = open(test);
    const unknown = 'dumpxml 00000000-0000-4000-8000-00000000000f';
    await assert.rejects(session.run(unknown, { limit: LIMIT }), failsWith('EGONE', /failed to get domain/));
    assert.deepEqual(await session.run('uri', { limit: LIMIT }), ['qemu:///fake']);
  });

  it('takes an answer for one although a text in it looks like an error, an end or a prompt', async (test) => {
    const text = '<domain>\nerror: Disconnected from here\nend-0-1\nvirsh # quit\n</domain>\n';
    const { session } = open(test, ({ libvirt }) => {
      libvirt.tamper = (line) => (line.startsWith('dumpxml') ? text : undefined);
    });
    const lines = await session.run('dumpxml x', { limit: LIMIT });
    assert.deepEqual(lines, ['<domain>', 'error: Disconnected from here', 'end-0-1', '</domain>']);
    assert.deepEqual(await session.run('uri', { limit: LIMIT }), ['qemu:///fake']);
  });
});

describe('a virsh that misbehaves', () => {
  it('and does not answer in time is killed, and may have done it', async (test) => {
    const { fake, session, clock } = open(test, ({ libvirt }) => {
      libvirt.tamper = (line) => (line === 'uri' ? new Promise(() => undefined) : undefined);
    });
    const running = session.run('uri', { limit: LIMIT });
    const failing = assert.rejects(running, failsWith('ETIMEDOUT', /within 1000 ms/, true));
    await until('it was asked', () => fake.libvirt.asked.includes('uri'));
    await clock.advanceTo(LIMIT);
    await failing;
    await until('its process is gone', () => fake.running.length === 0);
    assert.equal((await session.ended).virshCode, 'ETIMEDOUT');
    await assert.rejects(session.run('uri', { limit: LIMIT }), failsWith('ETIMEDOUT'));
  });

  it('and says nothing at all is killed too', async (test) => {
    const { session, clock } = open(test, (fake) => (fake.greeting = null));
    const failing = assert.rejects(session.run('uri', { limit: LIMIT }), failsWith('ETIMEDOUT'));
    await clock.advanceTo(LIMIT);
    await failing;
  });

  it('and dies in the middle of an answer leaves that open', async (test) => {
    const { fake, session } = open(test, ({ libvirt }) => {
      libvirt.tamper = (line) => (line === 'uri' ? new Promise(() => undefined) : undefined);
    });
    const failing = assert.rejects(session.run('uri', { limit: LIMIT }), failsWith('EUNAVAILABLE', /no answer/, true));
    await until('it was asked', () => fake.libvirt.asked.includes('uri'));
    fake.processes[0]?.crash();
    await failing;
  });

  it('and cannot connect says why, and nothing has happened', async (test) => {
    const words =
      'error: failed to connect to the hypervisor\nerror: Failed to connect socket to /run/x: No such file\n';
    const { session } = open(test, (made) => (made.lastWords = words));
    const failing = assert.rejects(
      session.run('uri', { limit: LIMIT }),
      failsWith('EUNAVAILABLE', /Failed to connect socket.*libvirtd/, false),
    );
    await failing;
  });

  it('and may not connect says what is missing', async (test) => {
    const words = "error: authentication unavailable: no polkit agent available to authenticate action 'x'\n";
    const { session } = open(test, (made) => (made.lastWords = words));
    const failing = assert.rejects(session.run('uri', { limit: LIMIT }), failsWith('EACCES', /group libvirt/));
    await failing;
  });

  it('and says that libvirt is gone has ended, for it would connect again without a word', async (test) => {
    const { fake, session } = open(test);
    await session.run('uri', { limit: LIMIT });
    fake.processes[0]?.say('virsh > error: Disconnected from qemu:///fake due to end of file\n');
    await until('it has ended', () => session.hasEnded);
    assert.match((await session.ended).message, /Disconnected from/);
    await until('its process is gone', () => fake.running.length === 0);
  });

  it('and floods, in one line or in many, asked or not, does not make us grow', async (test) => {
    const piece = 'x'.repeat(64 * 1024);
    for (const [tail, asked] of [
      ['', true],
      ['\n', true],
      ['\n', false],
    ] as const) {
      const { fake, session } = open(test, ({ libvirt }) => {
        libvirt.tamper = (line) => (line === 'uri' ? new Promise(() => undefined) : undefined);
      });
      const running = asked ? session.run('uri', { limit: millis(1e9) }) : session.ended;
      const failing = running.then(
        (why) => why,
        (error: unknown) => error,
      );
      await until('it has begun', () => fake.processes.length === 1);
      for (let said = 0; said < 16; said += 1) fake.processes[0]?.say(`${piece}${tail}`.repeat(64));
      const why = await failing;
      assert.ok(failsWith('EPROTO')(why));
    }
  });

  it('and is not there is told of with the package to install', async (test) => {
    const clock = new VirtualClock();
    const session = new Session({ uri: 'x', isReadOnly: true, clock, program: 'no-such-virsh' });
    test.after(() => {
      session.close();
    });
    await assert.rejects(session.run('uri', { limit: LIMIT }), failsWith('EUNAVAILABLE', /libvirt-clients/));
  });
});
