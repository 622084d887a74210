/** End to end: the built program drives domains through a virsh on its path, gives everything back, and says what it needs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fakePlug, type FakeDomain } from '../virsh/support/fake-libvirt.js';
import { FakeVirsh } from '../virsh/support/fake-virsh.js';
import { PROGRAM, ROUNDS_MS, selfballoonIn, staysFor, until, type Ended } from './support/program.js';

const MIB = 1_024;

interface World {
  readonly fake: FakeVirsh;
  readonly web: FakeDomain;
  readonly config: string;
  readonly socket: string;
  readonly env: NodeJS.ProcessEnv;
  readonly selfballoon: (...args: readonly string[]) => Promise<Ended>;
}

/** A domain of 1 GiB that uses 200 MiB and says so whenever it is asked. */
function openWorld(test: TestContext): World {
  const fake = FakeVirsh.start(test);
  const web = fake.libvirt.add('web', {
    stats: { available: 1_000 * MIB, swap_out: MIB },
    autodeflate: false,
  });
  fake.libvirt.tamper = () => {
    web.lastUpdate = Math.floor(Date.now() / 1_000);
    web.stats = { ...web.stats, usable: web.current - 200 * MIB };
    return undefined;
  };
  const [config, socket] = [join(fake.folder, 'selfballoon.toml'), join(fake.folder, 'selfballoon.sock')];
  const tunables = '[tunables]\nselfballoon_interval = 1\nselfballoon_downhysteresis = 1\n';
  writeFileSync(config, `hypervisor = "libvirt"\nsocket = "${socket}"\n${tunables}[libvirt]\nreserve_mib = 0\n`);
  const env = { ...process.env, PATH: `${fake.folder}${delimiter}${process.env['PATH'] ?? ''}` };
  return { fake, web, config, socket, env, selfballoon: (...args) => selfballoonIn(env, ...args) };
}

describe('the daemon on a host of libvirt', () => {
  it('takes what a domain does not use, shows why, and gives everything back when it ends', async (test) => {
    const { fake, web, config, socket, env, selfballoon } = openWorld(test);
    const daemon = spawn(process.execPath, [PROGRAM, 'run', '--no-table', '--config', config], {
      stdio: 'ignore',
      env,
    });
    test.after(() => daemon.kill('SIGKILL'));
    const ended = once(daemon, 'exit');
    // 1.3 times what it uses (policies/used-memory.ts).
    await until('the domain is small', () => web.target === 260 * MIB);
    await staysFor(ROUNDS_MS, () => web.target === 260 * MIB);
    assert.equal(web.period, 1);
    const status = await selfballoon('status', '--socket', socket);
    assert.match(status.out, /web/);
    assert.match(status.out, /260/);
    daemon.kill('SIGTERM');
    await ended;
    assert.equal(web.target, 1_024 * MIB);
    assert.equal(web.period, 0);
    await until('no virsh is left', () => fake.running.length === 0);
  });

  it('changes nothing in a dry run', async (test) => {
    const { fake, config, env } = openWorld(test);
    const args = ['run', '--no-table', '--dry-run', '--config', config];
    const daemon = spawn(process.execPath, [PROGRAM, ...args], { stdio: 'ignore', env });
    test.after(() => daemon.kill('SIGKILL'));
    const ended = once(daemon, 'exit');
    const { asked } = fake.libvirt;
    await until('it has looked', () => asked.filter((line) => line.startsWith('domstats')).length >= 3);
    daemon.kill('SIGTERM');
    await ended;
    assert.deepEqual(
      asked.filter((line) => /^setmem|^update-memory-device|--period/.test(line)),
      [],
    );
  });

  it('that is killed leaves no virsh behind but the listener, and domains that release makes whole', async (test) => {
    const { fake, web, config, env, selfballoon } = openWorld(test);
    const daemon = spawn(process.execPath, [PROGRAM, 'run', '--no-table', '--config', config], {
      stdio: 'ignore',
      env,
    });
    test.after(() => daemon.kill('SIGKILL'));
    const ended = once(daemon, 'exit');
    await until('the domain is small', () => web.target === 260 * MIB);
    await staysFor(ROUNDS_MS, () => web.target === 260 * MIB);
    daemon.kill('SIGKILL');
    await ended;
    const { code, out, err } = await selfballoon('release', '--config', config);
    assert.equal(code, 0, err);
    assert.match(out, /1 guest was told to take back/);
    assert.equal(web.target, 1_024 * MIB);
    assert.ok(fake.libvirt.asked.some((line) => line.startsWith('event ') && line.endsWith(' --timeout 30')));
  });

  it('does not start where libvirt does not let it in, and says what is missing', async (test) => {
    const { fake, config, selfballoon } = openWorld(test);
    fake.lastWords = 'error: failed to connect to the hypervisor\nerror: authentication unavailable: no polkit agent\n';
    const { code, err } = await selfballoon('run', '--no-table', '--config', config);
    assert.equal(code, 1);
    assert.match(err, /authentication unavailable.*group libvirt/);
    assert.match((await selfballoon('doctor', '--config', config)).out, /fail .*authentication unavailable/);
  });

  it('is told by doctor which domains have a balloon, and nothing in them is changed', async (test) => {
    const { fake, config, selfballoon } = openWorld(test);
    fake.libvirt.add('good');
    fake.libvirt.add('bare', { hasBalloon: false });
    fake.libvirt.add('passed', { devices: "<hostdev mode='subsystem' type='pci'/>" });
    const agent = `<channel type='unix'><source mode='bind' path='/run/qga'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>`;
    fake.libvirt.add('rich', { devices: agent, plugs: [fakePlug({ size: 256 * MIB })] });
    const { out } = await selfballoon('doctor', '--config', config);
    assert.match(out, /ok {4}libvirt answers at qemu:\/\/\/system/);
    assert.match(out, /warn {2}"web" runs, with a balloon that does not deflate/);
    assert.match(out, /ok {4}"good" runs, with a balloon\n/);
    assert.match(out, /ok {4}"good" has no port for an agent/);
    assert.match(out, /ok {4}"rich" has a port for QEMU's guest agent; 256 MiB more can be plugged in\n/);
    assert.match(out, /warn {2}"bare" runs, and has no balloon/);
    assert.match(
      out,
      /warn {2}"passed": its description has <hostdev type='pci'>\. What it gives up would be of no use/,
    );
    assert.equal(out.match(/would be of no use/g)?.length, 1);
    assert.ok(!fake.libvirt.asked.some((line) => /^(setmem|dommemstat)/.test(line)));
  });
});
