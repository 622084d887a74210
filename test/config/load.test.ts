import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeSource, loadConfig, type Config } from '../../src/config/index.js';
import { limitsFor } from '../../src/control/limits.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { mib, mibToPages, millis, NO_PAGES } from '../../src/units.js';
import { loadText, temporaryFile } from './temporary-file.js';

const NOWHERE = '/nonexistent/selfballoon.toml';
const nothing = { file: null, env: {}, flags: {}, defaultFile: NOWHERE };

describe('the configuration when nothing is given', () => {
  it('is the defaults, and every source says so', async () => {
    const { config, sources } = await loadConfig(nothing);
    const expected: Omit<Config, 'guestLimits'> = {
      hypervisor: 'auto',
      isDryRun: false,
      socketPath: null,
      tunables: DEFAULT_TUNABLES,
      journal: { path: null, maxMib: mib(16), files: 4 },
      log: { format: 'text', level: 'info' },
      embedded: { speed: 1, seed: 1, hostMib: mib(8192), showThisMachine: true },
      overflow: { devices: [], reserve: mibToPages(mib(64)) },
      pressure: { isWatched: true, trigger: { stall: millis(100), window: millis(1000) } },
      xenGuest: { root: '/' },
      xenHost: {
        socket: '/run/xenstored/socket',
        sight: 'auto',
        reserve: mibToPages(mib(64)),
        isDom0Driven: false,
        dom0Min: mibToPages(mib(1024)),
      },
      qmp: { sockets: [], reserve: mibToPages(mib(1024)), asksAgent: true, hearsOwn: true },
      libvirt: { uri: 'qemu:///system', reserve: mibToPages(mib(1024)), asksAgent: true, hearsOwn: true },
      agent: { port: null, root: '/', trigger: { stall: millis(20), window: millis(500) } },
    };
    const { guestLimits, ...rest } = config;
    assert.deepEqual(rest, expected);
    assert.deepEqual(Object.keys(guestLimits), []);
    assert.ok([...sources.values()].every((source) => source.kind === 'default'));
    assert.ok(sources.has('xen_guest.root'));
  });

  it('is frozen all the way down', async () => {
    const { config } = await loadConfig({ ...nothing, flags: { guest: { web: { min_mib: 1 } } } });
    const isFrozen = (value: object): boolean =>
      Object.isFrozen(value) &&
      Object.values(value).every((inner: unknown) => typeof inner !== 'object' || inner === null || isFrozen(inner));
    assert.ok(isFrozen(config));
  });
});

describe('a configuration file', () => {
  it('sets every key', async (context) => {
    const { config } = await loadText(
      context,
      `hypervisor = "embedded"
dry_run = true
socket = "/run/x.sock"
tunables = { selfballoon_interval = 10, selfballoon_reserved_mb = "auto", frontswap_inertia = 0x10 }
[journal]
path = "/var/lib/j"
max_mib = 1
files = 2
[log]
format = "json"
level = "debug"
[embedded]
speed = 0.5
seed = 7
host_mib = 4096
show_this_machine = false
[overflow]
devices = ["/dev/zram0", "/dev/zram1"]
reserve_mib = 0
[pressure]
watch = false
stall_ms = 500
window_ms = 500
[xen_guest]
root = "/sysroot"
[xen_host]
socket = "/run/xs"
sight = "xl"
reserve_mib = 1
drive_dom0 = true
dom0_min_mib = 2
[qmp]
sockets = ["/run/vms/*.qmp"]
reserve_mib = 3
guest_agent = false
own_agent = false
[libvirt]
uri = "qemu+unix:///session?socket=/run/x"
reserve_mib = 5
guest_agent = false
own_agent = false
[agent]
port = "/dev/vport0p2"
root = "/guest"
[guest."xen-guest/self"]
min_mib = 64
max_mib = 64
[guest.web]
max_mib = 128
`,
    );
    const { tunables, guestLimits, ...rest } = config;
    assert.deepEqual(tunables, { ...DEFAULT_TUNABLES, selfballoon_interval: 10, frontswap_inertia: 16 });
    assert.deepEqual(rest, {
      hypervisor: 'embedded',
      isDryRun: true,
      socketPath: '/run/x.sock',
      journal: { path: '/var/lib/j', maxMib: 1, files: 2 },
      log: { format: 'json', level: 'debug' },
      embedded: { speed: 0.5, seed: 7, hostMib: 4096, showThisMachine: false },
      overflow: { devices: ['/dev/zram0', '/dev/zram1'], reserve: 0 },
      pressure: { isWatched: false, trigger: { stall: 500, window: 500 } },
      xenGuest: { root: '/sysroot' },
      xenHost: { socket: '/run/xs', sight: 'xl', reserve: 256, isDom0Driven: true, dom0Min: 512 },
      qmp: { sockets: ['/run/vms/*.qmp'], reserve: 768, asksAgent: false, hearsOwn: false },
      libvirt: { uri: 'qemu+unix:///session?socket=/run/x', reserve: 1_280, asksAgent: false, hearsOwn: false },
      agent: { port: '/dev/vport0p2', root: '/guest', trigger: { stall: 500, window: 500 } },
    });
    assert.deepEqual(
      { ...guestLimits },
      {
        'xen-guest/self': { floor: mibToPages(mib(64)), ceiling: mibToPages(mib(64)) },
        web: { floor: NO_PAGES, ceiling: mibToPages(mib(128)) },
      },
    );
  });

  it('may be empty, and may begin with a byte order mark', async (context) => {
    assert.equal((await loadText(context, '')).config.hypervisor, 'auto');
    assert.equal((await loadText(context, '\u{feff}hypervisor = "embedded"')).config.hypervisor, 'embedded');
  });

  it('keeps limits of guests that have the names of what every object has', async (context) => {
    const { config } = await loadText(context, '[guest.__proto__]\nmin_mib = 1\n[guest.constructor]\nmin_mib = 2\n');
    assert.equal(config.guestLimits['__proto__']?.floor, mibToPages(mib(1)));
    assert.equal(config.guestLimits['constructor']?.floor, mibToPages(mib(2)));
    assert.equal(limitsFor(config.guestLimits, { id: 'toString', name: 'toString' }), null);
  });

  it('that is the default one is read, and is not missed', async (context) => {
    const defaultFile = temporaryFile(context, 'hypervisor = "xen-guest"');
    assert.equal((await loadConfig({ ...nothing, defaultFile })).config.hypervisor, 'xen-guest');
    assert.equal((await loadConfig(nothing)).config.hypervisor, 'auto');
  });
});

describe("the agent's pressure trigger", () => {
  const triggers = async (env: Readonly<Record<string, string>>) => {
    const { config } = await loadConfig({ ...nothing, env });
    return [config.pressure.trigger, config.agent.trigger];
  };

  it('is what was given for both, also where that is the default of the other', async () => {
    const given = { stall: 100, window: 1_000 };
    assert.deepEqual(await triggers({ SELFBALLOON_PRESSURE_STALL_MS: '100' }), [given, given]);
    assert.deepEqual(await triggers({ SELFBALLOON_PRESSURE_WINDOW_MS: '1000' }), [given, given]);
  });

  it('is never made of half of its own default and half of what was given', async () => {
    const given = { stall: 700, window: 1_000 };
    assert.deepEqual(await triggers({ SELFBALLOON_PRESSURE_STALL_MS: '700' }), [given, given]);
  });
});

describe('which value counts', () => {
  const text = '[embedded]\nspeed = 2\nseed = 2\nhost_mib = 3000\n';
  const env = { SELFBALLOON_EMBEDDED_SPEED: '3', SELFBALLOON_EMBEDDED_SEED: '3', HOME: '/root' };
  const flags = { embedded: { speed: 4, seed: undefined } };

  it('is the flag, then the environment, then the file, then the default', async (context) => {
    const file = temporaryFile(context, text);
    const { config, sources } = await loadConfig({ file, env, flags });
    assert.deepEqual(config.embedded, { speed: 4, seed: 3, hostMib: 3000, showThisMachine: true });
    const where = ['speed', 'seed', 'host_mib', 'show_this_machine'].map((name) => sources.get(`embedded.${name}`));
    assert.deepEqual(
      where.map((source) => source && describeSource(source)),
      ['command line', 'environment variable SELFBALLOON_EMBEDDED_SEED', `${file}:4:1`, 'default'],
    );
  });

  it('is also found for guests, whose limits may come from two places', async (context) => {
    const file = temporaryFile(context, '[guest.web]\nmin_mib = 10\nmax_mib = 20\n');
    const { config, sources } = await loadConfig({ file, env: {}, flags: { guest: { web: { max_mib: '15' } } } });
    assert.deepEqual(config.guestLimits['web'], { floor: mibToPages(mib(10)), ceiling: mibToPages(mib(15)) });
    assert.equal(sources.get('guest.web.min_mib')?.kind, 'file');
    assert.equal(sources.get('guest.web.max_mib')?.kind, 'flag');
  });
});

describe('text of environment variables and flags', () => {
  it('becomes what its key holds', async () => {
    const { config } = await loadConfig({
      ...nothing,
      env: {
        SELFBALLOON_DRY_RUN: '1',
        SELFBALLOON_EMBEDDED_SHOW_THIS_MACHINE: 'false',
        SELFBALLOON_OVERFLOW_DEVICES: '/dev/zram0,/dev/zram1',
        SELFBALLOON_TUNABLES_SELFBALLOON_RESERVED_MB: '0',
        SELFBALLOON_TUNABLES_SELFBALLOON_INTERVAL: '+10',
        SELFBALLOON_XEN_GUEST_ROOT: '/mnt',
        SELFBALLOON_TEST_SEED: '1',
        SELFBALLOON_LOG_LEVEL: undefined,
      },
      flags: { embedded: { speed: '2.5' }, overflow: { reserve_mib: 1 } },
    });
    assert.equal(config.isDryRun, true);
    assert.equal(config.embedded.showThisMachine, false);
    assert.deepEqual(config.overflow, { devices: ['/dev/zram0', '/dev/zram1'], reserve: mibToPages(mib(1)) });
    assert.equal(config.tunables.selfballoon_reserved_mb, 0);
    assert.equal(config.tunables.selfballoon_interval, 10);
    assert.equal(config.xenGuest.root, '/mnt');
    assert.equal(config.embedded.speed, 2.5);
  });

  it('may be an empty list', async () => {
    const { config } = await loadConfig({ ...nothing, env: { SELFBALLOON_OVERFLOW_DEVICES: '' } });
    assert.deepEqual(config.overflow.devices, []);
  });
});
