/** End to end: the built program drives machines behind monitors, gives everything back, and says what it needs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { hostFolder, setProcess } from '../hypervisors/qmp/support/host-folder.js';
import { FakeQemu } from '../qmp/support/fake-qemu.js';
import { PROGRAM, ROUNDS_MS, selfballoon, staysFor, until } from './support/program.js';

const MIB = 2 ** 20;

interface World {
  readonly qemu: FakeQemu;
  readonly config: string;
  readonly socket: string;
}

/** A machine of 1 GiB that uses 200 MiB and says so whenever it is asked. */
async function openWorld(test: TestContext): Promise<World> {
  const qemu = await FakeQemu.start(test);
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-qmp-place-'));
  test.after(() => {
    rmSync(folder, { recursive: true });
  });
  qemu.machine.name = 'web';
  qemu.tamper = (answer) => [`${JSON.stringify(freshened(answer, qemu.machine.actual ?? 0))}\r\n`];
  qemu.machine.stats = {
    'stat-total-memory': 1_000 * MIB,
    'stat-swap-out': MIB,
  };
  qemu.machine.lastUpdate = 1;
  const config = join(folder, 'selfballoon.toml');
  const socket = join(folder, 'selfballoon.sock');
  const tunables = '[tunables]\nselfballoon_interval = 1\nselfballoon_downhysteresis = 1\n';
  writeFileSync(
    config,
    `hypervisor = "qmp"\nsocket = "${socket}"\n${tunables}[qmp]\nsockets = ["${qemu.path}"]\nreserve_mib = 0\n`,
  );
  return { qemu, config, socket };
}

/** Statistics are always of this second, as QEMU's are, and of a guest that keeps so much and uses 200 MiB of it. */
function freshened(answer: object, actual: number): object {
  const { return: returned } = answer as { readonly return?: unknown };
  if (typeof returned !== 'object' || returned === null || !('last-update' in returned)) return answer;
  const { stats } = returned as { readonly stats?: object };
  const said = { ...stats, 'stat-available-memory': actual - 200 * MIB };
  return { ...answer, return: { ...returned, stats: said, 'last-update': Math.floor(Date.now() / 1_000) } };
}

/** A daemon that is told to end as soon as it says where it answers. */
async function endedAtOnce(
  test: TestContext,
  config: string,
): Promise<{ readonly code: number; readonly log: string }> {
  const daemon = spawn(process.execPath, [PROGRAM, 'run', '--no-table', '--config', config]);
  test.after(() => daemon.kill('SIGKILL'));
  let log = '';
  daemon.stdout.on('data', (chunk: Buffer) => {
    const hadSaid = log.includes('answers on');
    log += chunk.toString();
    if (!hadSaid && log.includes('answers on')) daemon.kill('SIGTERM');
  });
  const [code] = (await once(daemon, 'close')) as [number];
  return { code, log };
}

describe('the daemon on a host of QEMU machines', () => {
  it('takes what a machine does not use, shows why, and gives everything back when it ends', async (test) => {
    const { qemu, config, socket } = await openWorld(test);
    const daemon = spawn(process.execPath, [PROGRAM, 'run', '--no-table', '--config', config], { stdio: 'ignore' });
    test.after(() => daemon.kill('SIGKILL'));
    const ended = once(daemon, 'exit');
    // 1.3 times what it uses (policies/used-memory.ts).
    await until('the machine is small', () => qemu.machine.target === 260 * MIB);
    await staysFor(ROUNDS_MS, () => qemu.machine.target === 260 * MIB);
    const status = await selfballoon('status', '--socket', socket);
    assert.match(status.out, /qmp\/web|web/);
    assert.match(status.out, /260/);
    daemon.kill('SIGTERM');
    await ended;
    assert.equal(qemu.machine.target, 1_024 * MIB);
    assert.equal(qemu.machine.pollingInterval, 0);
  });

  it('says at its end behind which monitors somebody may be who was given nothing back, and fails', async (test) => {
    const { qemu, config } = await openWorld(test);
    const other = await FakeQemu.start(test);
    other.greeting = ['something else\r\n'];
    writeFileSync(config, readFileSync(config, 'utf8').replace(/^sockets = \[/m, `$&${JSON.stringify(other.path)}, `));
    const daemon = spawn(process.execPath, [PROGRAM, 'run', '--no-table', '--config', config]);
    test.after(() => daemon.kill('SIGKILL'));
    let log = '';
    daemon.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
    await until(
      'one is driven and the other was met',
      () => qemu.machine.target === 260 * MIB && log.includes(other.path),
    );
    daemon.kill('SIGTERM');
    const [code] = (await once(daemon, 'close')) as [number];
    assert.equal(code, 1, log);
    assert.match(log, /nothing could be given back to whoever is there: a line came that is not JSON/);
    assert.match(log, /ended without giving everything back/);
    assert.equal(qemu.machine.target, 1_024 * MIB);
  });

  it('meets those first whom it does not know yet when it is told to end, and gives back to them', async (test) => {
    const { qemu, config } = await openWorld(test);
    qemu.machine.resize(300 * MIB);
    const { code, log } = await endedAtOnce(test, config);
    assert.equal(code, 0, log);
    assert.match(log, /gave everything back/);
    assert.equal(qemu.machine.target, 1_024 * MIB);
  });

  it('does not wait long for one who does not answer, names him and fails; nobody is no reason to', async (test) => {
    const { qemu, config } = await openWorld(test);
    qemu.greeting = [];
    const silent = await endedAtOnce(test, config);
    assert.equal(silent.code, 1, silent.log);
    assert.match(silent.log, new RegExp(`whoever is there: the QEMU at ${qemu.path} has not answered yet`));
    assert.doesNotMatch(silent.log, /gave everything back/);
    await qemu.end();
    const nobody = await endedAtOnce(test, config);
    assert.equal(nobody.code, 0, nobody.log);
    assert.match(nobody.log, /gave everything back/);
  });

  it('changes nothing in a dry run, in QEMU neither', async (test) => {
    const { qemu, config } = await openWorld(test);
    const args = ['run', '--no-table', '--dry-run', '--config', config];
    const daemon = spawn(process.execPath, [PROGRAM, ...args], { stdio: 'ignore' });
    test.after(() => daemon.kill('SIGKILL'));
    const ended = once(daemon, 'exit');
    await until('it has looked', () => qemu.asked.filter((command) => command === 'query-balloon').length >= 3);
    daemon.kill('SIGTERM');
    await ended;
    const changes = qemu.asked.filter((command) => !/^(query-.*|qom-list|qom-get)$/.test(String(command)));
    assert.deepEqual(changes, []);
  });

  it('that runs is known to doctor as the one who holds the monitors', async (test) => {
    const { qemu, config } = await openWorld(test);
    const daemon = spawn(process.execPath, [PROGRAM, 'run', '--no-table', '--config', config], { stdio: 'ignore' });
    test.after(() => daemon.kill('SIGKILL'));
    await until('it is connected', () => qemu.asked.includes('query-balloon'));
    // As QEMU, which has one client at a time.
    qemu.greeting = [];
    const held = await selfballoon('doctor', '--config', config);
    assert.match(held.out, /ok +the monitor at .* is held, as by the daemon that runs/);
    assert.equal(held.code, 0, held.out);
    const mute = await FakeQemu.start(test);
    mute.greeting = [];
    const both = `${config}.both.toml`;
    writeFileSync(both, readFileSync(config, 'utf8').replace(/^sockets = \[/m, `$&${JSON.stringify(mute.path)}, `));
    const another = await selfballoon('doctor', '--config', both);
    assert.match(
      another.out,
      /warn +monitors that do not greet: 2; machines that the daemon knows: 1: .*\n.*second monitors/,
    );
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
    const silent = await selfballoon('doctor', '--config', config);
    assert.match(silent.out, /fail +the QEMU at .* does not greet\n.*serves one client/);
    qemu.greeting = ['QEMU 7.2.0 monitor - type help\r\n'];
    const other = await selfballoon('doctor', '--config', config);
    assert.match(other.out, /fail .*\n.*must be a QMP monitor that this user may connect to/);
  });

  it('that is killed leaves a machine which release without a daemon makes whole', async (test) => {
    const { qemu, config } = await openWorld(test);
    qemu.machine.resize(300 * MIB);
    const { code, out, err } = await selfballoon('release', '--config', config);
    assert.equal(code, 0, err);
    assert.match(out, /1 guest was told to take back/);
    assert.equal(qemu.machine.target, 1_024 * MIB);
  });

  it('does not start without a monitor to look at, and says what to set', async () => {
    const { code, err } = await selfballoon('run', '--hypervisor', 'qmp', '--no-table');
    assert.equal(code, 1);
    assert.match(err, /names no monitors of QEMU.*qmp\.sockets/);
  });

  it('is told by doctor which machines answer and have a balloon, and nothing in them is changed', async (test) => {
    const { qemu, config } = await openWorld(test);
    const { out } = await selfballoon('doctor', '--config', config);
    assert.match(out, /web answers at .*, with a balloon at "\/machine\/peripheral\/balloon0" that does not deflate/);
    assert.match(out, /web has no port for an agent: only its balloon's statistics tell/);
    assert.ok(!qemu.asked.includes('qom-set') && !qemu.asked.includes('balloon'));
    qemu.machine.actual = null;
    const bare = await selfballoon('doctor', '--config', config);
    assert.match(bare.out, /web answers at .*, and has no balloon/);
    assert.doesNotMatch(bare.out, /statistics/);
  });

  it('is told by doctor of a second monitor of a machine, and not as if it were another machine', async (test) => {
    const { qemu, config } = await openWorld(test);
    const [twin, other] = [await FakeQemu.start(test), await FakeQemu.start(test)];
    twin.machine.name = 'web';
    other.machine.name = 'db';
    const sockets = [qemu, twin, other].map(({ path }) => JSON.stringify(path)).join(', ');
    const root = hostFolder(test, 60);
    const here = `[xen_guest]\nroot = ${JSON.stringify(root)}\n`;
    writeFileSync(
      config,
      `${readFileSync(config, 'utf8').replace(/^sockets = .*$/m, `sockets = [${sockets}]`)}${here}`,
    );
    const { out } = await selfballoon('doctor', '--config', config);
    const [first, second] = [qemu.path, twin.path].sort();
    assert.match(
      out,
      new RegExp(`warn +${String(second)} is a second monitor of web, which answers at ${String(first)} too`),
    );
    assert.equal(out.match(/web answers at/g)?.length, 1, out);
    assert.match(out, /db answers at/);
    setProcess(root, process.pid, { name: 'acct', command: '/usr/bin/qemu-system-x86_64' });
    const renamed = await selfballoon('doctor', '--config', config);
    assert.match(renamed.out, /is a second monitor of web/);
    setProcess(root, process.pid, { name: 'socat', command: '/usr/bin/socat' });
    const between = await selfballoon('doctor', '--config', config);
    assert.equal(between.out.match(/web answers at/g)?.length, 2, between.out);
    qemu.machine.uuid = twin.machine.uuid = '0b5c8c55-97f3-4ab9-ad63-4a1c7a0a2f8e';
    const numbered = await selfballoon('doctor', '--config', config);
    assert.match(numbered.out, /is a second monitor of web/);
  });

  it(
    'is told by doctor that it may not look where the monitors are, and not that there are none',
    { skip: process.getuid?.() !== 0 && 'needs root to become another user' },
    async (test) => {
      const { qemu, config } = await openWorld(test);
      chmodSync(dirname(config), 0o755);
      chmodSync(config, 0o644);
      for (const sockets of [qemu.path, `${dirname(qemu.path)}/*.qmp`, dirname(qemu.path)]) {
        writeFileSync(config, `hypervisor = "qmp"\n[qmp]\nsockets = [${JSON.stringify(sockets)}]\n`);
        const asNobody = spawn(process.execPath, [PROGRAM, 'doctor', '--config', config], {
          uid: 65534,
          gid: 65534,
          cwd: '/',
        });
        let out = '';
        asNobody.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
        await once(asNobody, 'close');
        assert.match(
          out,
          new RegExp(`fail +no socket is seen at .*: this user may not look into ${dirname(qemu.path)}`),
        );
      }
    },
  );

  it('is told by doctor which ports for agents a machine has, and which of them cannot be used', async (test) => {
    const { qemu, config } = await openWorld(test);
    qemu.machine.ports.push({ name: 'org.selfballoon.0', filename: 'disconnected:unix:/run/own,server=on' });
    const one = await selfballoon('doctor', '--config', config);
    assert.match(one.out, /ok {4}web has a port for selfballoon agent\n/);
    qemu.machine.ports.push({ name: 'org.qemu.guest_agent.0', filename: 'pty:/dev/pts/3' });
    const two = await selfballoon('doctor', '--config', config);
    assert.match(two.out, /warn {2}web has a port for an agent that cannot be used: /);
  });
});
