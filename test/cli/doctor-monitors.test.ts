/** Protects the doctor's findings from what machines call themselves, and whoever has two of one name. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { checkMonitors } from '../../src/cli/doctor/monitors.js';
import { NO_PAGES } from '../../src/units.js';
import { hostFolder, setMemory } from '../hypervisors/qmp/support/host-folder.js';
import { FakeQemu } from '../qmp/support/fake-qemu.js';
import { fixture } from '../support/paths.js';

describe('a machine with a name that is meant to look like a finding', () => {
  it('is named in one line, without anything that a terminal would obey', async (test) => {
    const qemu = await FakeQemu.start(test);
    qemu.machine.name = 'web\n  ok    all is well\u001b[2J\u202e';
    const qmp = { sockets: [qemu.path], reserve: NO_PAGES, asksAgent: false, hearsOwn: false };
    const findings = await checkMonitors({ qmp, xenGuest: { root: '/' } }, 0);
    assert.equal(findings.length, 2);
    for (const { what } of findings) {
      assert.doesNotMatch(what, /[\p{Cc}\p{Cf}]/u);
      assert.match(what, /^web___ok____all_is_well__2J_ /);
    }
  });
});

describe('machines of one name', () => {
  async function warnings(test: TestContext, ...names: readonly (string | undefined)[]) {
    const paths: string[] = [];
    for (const name of names) {
      const qemu = await FakeQemu.start(test);
      qemu.machine.name = name;
      paths.push(qemu.path);
    }
    const qmp = { sockets: paths, reserve: NO_PAGES, asksAgent: false, hearsOwn: false };
    const findings = await checkMonitors({ qmp, xenGuest: { root: fixture('xen-guest') } }, 0);
    return { paths, alike: findings.filter(({ what }) => / machines are called /.test(what)) };
  }

  it('are told of once for each name, with what to do', async (test) => {
    const { paths, alike } = await warnings(test, 'web', 'db', 'web', 'mail');
    const [first, second] = [paths[0], paths[2]].sort();
    assert.equal(alike.length, 1);
    assert.equal(alike[0]?.level, 'warn');
    assert.ok(alike[0].what.startsWith(`2 machines are called web, those at ${first} and ${second}: `));
    assert.match(alike[0].advice ?? '', /-name of its own/);
  });

  it('may have it from their sockets, where QEMU has none for them', async (test) => {
    const { alike } = await warnings(test, undefined, undefined);
    assert.match(alike[0]?.what ?? '', /^2 machines are called qmp, /);
  });

  it('are none where all names differ', async (test) => {
    assert.deepEqual((await warnings(test, 'web', 'db')).alike, []);
  });
});

describe('machines with an agent’s port at one socket', () => {
  const port = (path: string) => ({ name: 'org.qemu.guest_agent.0', filename: `disconnected:unix:${path},server=on` });

  async function warnings(test: TestContext, ports: Readonly<Record<string, string>>) {
    const sockets: string[] = [];
    for (const [name, path] of Object.entries(ports)) {
      const qemu = await FakeQemu.start(test);
      qemu.machine.name = name;
      qemu.machine.ports.push(port(path));
      sockets.push(qemu.path);
    }
    const qmp = { sockets, reserve: NO_PAGES, asksAgent: false, hearsOwn: false };
    const findings = await checkMonitors({ qmp, xenGuest: { root: fixture('xen-guest') } }, 0);
    return findings.filter(({ what }) => /same socket/.test(what));
  }

  it('are told of, with what to do', async (test) => {
    const [found, ...others] = await warnings(test, { web: '/run/a', db: '/run/a', mail: '/run/b' });
    assert.equal(others.length, 0);
    assert.equal(found?.level, 'warn');
    assert.match(found.what, /^db and web have a port for an agent at the same socket, "\/run\/a": /);
    assert.match(found.advice ?? '', /a path of its own/);
  });

  it('are none where each has its own', async (test) => {
    assert.deepEqual(await warnings(test, { web: '/run/a', db: '/run/b' }), []);
  });
});

describe('a machine whose memory stays with its QEMU', () => {
  async function kept(test: TestContext, memory: Parameters<typeof setMemory>[1]) {
    const qemu = await FakeQemu.start(test);
    qemu.machine.name = 'web';
    const root = hostFolder(test, 60);
    setMemory(root, memory);
    const qmp = { sockets: [qemu.path], reserve: NO_PAGES, asksAgent: false, hearsOwn: false };
    const findings = await checkMonitors({ qmp, xenGuest: { root } }, 0);
    return findings.filter(({ what }) => /of no use to this host/.test(what));
  }

  it('is told of, with what was seen and what to do', async (test) => {
    const [huge, ...others] = await kept(test, { hugeMib: 300 });
    assert.equal(others.length, 0);
    assert.equal(huge?.level, 'warn');
    assert.match(
      huge.what,
      /^web: its QEMU has 300 MiB in huge pages \(HugetlbPages in its .*nothing of its boot memory is taken/,
    );
    assert.match(huge.advice ?? '', /start it with ordinary memory/);
    assert.match((await kept(test, { lockedMib: 1_024 }))[0]?.what ?? '', /1024 MiB locked in memory/);
  });

  it('is another one than that of ordinary memory', async (test) => {
    assert.deepEqual(await kept(test, { lockedMib: 100 }), []);
  });
});
