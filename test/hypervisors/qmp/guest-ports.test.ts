/** Protects how the ways into a guest are found: by the ports' names, and only where they lead to a socket that can be connected to. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findGuestPorts, portEnd } from '../../../src/hypervisors/qmp/guest-ports.js';
import { VirtualClock } from '../../../src/sim/index.js';
import { opened } from '../../qmp/support/opened.js';
import { listenAt, NEEDS_QEMU, RealQemu } from '../../qmp/support/real-qemu.js';

const NEVER = new AbortController().signal;

describe('where a port leads', () => {
  const sockets: readonly (readonly [string, string])[] = [
    ['unix:/run/vm.agent,server=on', '/run/vm.agent'],
    ['disconnected:unix:/run/vm.agent,server=on', '/run/vm.agent'],
    // QEMU before 6.0.
    ['disconnected:unix:/run/vm.agent,server', '/run/vm.agent'],
    ['unix:/run/a,b=c,server=on,server=on', '/run/a,b=c,server=on'],
    ['unix:/run/two\nlines,server=on', '/run/two\nlines'],
  ];
  for (const [filename, path] of sockets) {
    it(`is a socket: ${JSON.stringify(filename)}`, () => {
      assert.deepEqual(portEnd(filename), { kind: 'socket', path });
    });
  }

  const others: readonly (readonly [string, RegExp])[] = [
    ['unix:vm.agent,server=on', /relative/],
    ['unix:/run/vm.agent', /no unix socket at which QEMU listens/],
    ['disconnected:unix:name,abstract=on,tight=on,server=on', /is an abstract socket/],
    ['unix:/run/vm.agent,abstract=on,server=on', /is an abstract socket/],
    // QEMU 5.2.
    ['unix:/run/vm.agent,abstract,tight,server=on', /is an abstract socket/],
    ['unix:/run/vm.agent,abstract,server', /is an abstract socket/],
    ['tcp:127.0.0.1:4444,server=on', /no unix socket/],
    ['pty:/dev/pts/1', /no unix socket/],
    ['null', /no unix socket/],
    ['', /no unix socket/],
  ];
  for (const [filename, why] of others) {
    it(`is nothing to connect to, and says why: ${JSON.stringify(filename)}`, () => {
      const end = portEnd(filename);
      assert.ok(end.kind === 'unusable' && why.test(end.why));
    });
  }
});

describe('the ports of a machine', () => {
  it('are found by their names', async (test) => {
    const { fake, qmp } = await opened(test);
    fake.machine.ports.push(
      { name: 'org.qemu.guest_agent.0', filename: 'disconnected:unix:/run/one,server=on' },
      { name: 'org.selfballoon.0', filename: 'pty:/dev/pts/7' },
      { name: 'org.spice.0', filename: 'unix:/run/two,server=on', id: 'spice' },
    );
    const ports = await findGuestPorts(qmp, NEVER);
    assert.deepEqual(ports.get('org.qemu.guest_agent.0'), { kind: 'socket', path: '/run/one' });
    assert.equal(ports.get('org.selfballoon.0')?.kind, 'unusable');
    assert.deepEqual(ports.get('org.spice.0'), { kind: 'socket', path: '/run/two', device: 'spice' });
    assert.equal(ports.size, 3);
  });

  it('are none where there are none, and QEMU is asked for nothing more', async (test) => {
    const { fake, qmp } = await opened(test);
    assert.equal((await findGuestPorts(qmp, NEVER)).size, 0);
    assert.ok(!fake.asked.includes('query-chardev'));
  });

  it('whose answers are nonsense are left out', async (test) => {
    const { fake, qmp } = await opened(test);
    fake.machine.ports.push({ name: 'x', filename: 'unix:/run/x,server=on' });
    fake.machine.commands.set('query-chardev', () => [{ label: 7 }]);
    assert.equal((await findGuestPorts(qmp, NEVER)).get('x')?.kind, 'unusable');
    fake.machine.commands.set('qom-get', () => ({ no: 'text' }));
    assert.equal((await findGuestPorts(qmp, NEVER)).size, 0);
  });

  it('of a real QEMU are found, with an id and without', { skip: NEEDS_QEMU, timeout: 120_000 }, async (test) => {
    const qemu = new RealQemu((path) => [
      ...['-machine', 'pc', '-m', '64', '-device', 'virtio-serial-pci', '-chardev', `socket,id=a,${at(path('agent'))}`],
      ...['-device', 'virtserialport,chardev=a,name=org.qemu.guest_agent.0', '-chardev', 'null,id=b'],
      ...['-device', 'virtserialport,id=own,chardev=b,name=org.selfballoon.0'],
    ]);
    test.after(() => qemu.close());
    const qmp = await qemu.connect({ clock: new VirtualClock() });
    const ports = await findGuestPorts(qmp, NEVER);
    assert.deepEqual(ports.get('org.qemu.guest_agent.0'), { kind: 'socket', path: qemu.path('agent') });
    assert.equal(ports.get('org.selfballoon.0')?.kind, 'unusable');
  });
});

const at = (path: string): string => listenAt(path).replace('unix:', 'path=');
