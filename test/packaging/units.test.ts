/**
 * Protects the units for systemd: that a daemon which dies is started again and leaves no guest squeezed, that it is the last to be
 * killed or swapped out, that nothing keeps it from what it needs, and that the commands in them are the program's.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { releaseAll } from '../../src/cli/commands/release.js';
import { LOOK_MAX } from '../../src/cli/commands/release-host.js';
import { OWN_PORT } from '../../src/signals/report-ways.js';
import { createProgram } from '../../src/cli/program.js';
import { SelfballoonError } from '../../src/errors.js';
import { guestName } from '../../src/hypervisors/xen-guest/name.js';
import { CALL_TIME_LIMIT } from '../../src/control/ports.js';
import { defaultSocketPath } from '../../src/server/socket-path.js';
import { FAREWELL_MAX } from '../../src/runtime/loop.js';
import { until } from '../cli/support/program.js';
import { XenGuestRoot } from '../cli/xen-guest-root.js';
import { REPOSITORY } from '../support/paths.js';
import { faultIn, secondsOf, sizeOf, UnitFile, unitNames, unitText } from './unit-file.js';

const GUEST = UnitFile.read('selfballoon-guest.service');
const REPORT = UnitFile.read('selfballoon-report.service');
const AGENT = UnitFile.read('selfballoon-agent.service');
const HOST = UnitFile.read('selfballoon-host.service');
const VMS = UnitFile.read('selfballoon-vms.service');
const SLICE = UnitFile.read('selfballoon.slice');
/** For a slow machine to load the program. */
const START_MS = 5_000;
const DAEMONS = { guest: GUEST, report: REPORT, agent: AGENT, host: HOST, vms: VMS };

/** What `release` finds: no daemon that answers, and the machine in the folder. */
function withoutDaemon(test: TestContext, root: string): { readonly socket: string; readonly config: string } {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-units-'));
  test.after(() => {
    rmSync(folder, { recursive: true });
  });
  const config = join(folder, 'config.toml');
  writeFileSync(config, `[xen_guest]\nroot = "${root}"\n`);
  return { socket: join(folder, 'nobody.sock'), config };
}

interface Balloon {
  readonly target: number;
  readonly current: number;
  readonly low: number;
}

/** In KiB. */
function putBalloon(root: XenGuestRoot, { target, current, low }: Balloon): void {
  root.putBalloon('target_kb', `${target}\n`);
  root.putBalloon('info/current_kb', `${current}\n`);
  root.putBalloon('info/low_kb', `${low}\n`);
}

/** A guest that has given up half of its 256 MiB. */
function halved(test: TestContext): XenGuestRoot {
  const root = new XenGuestRoot(test);
  putBalloon(root, { target: 131_072, current: 131_072, low: 131_072 });
  return root;
}

describe('each service', () => {
  for (const [name, unit] of Object.entries(DAEMONS)) {
    it(`${name}: is started again after a failure, after a pause, and not for ever`, () => {
      assert.equal(unit.last('Restart'), 'on-failure');
      const pause = secondsOf(unit.last('RestartSec'));
      const starts = Number(unit.last('StartLimitBurst'));
      assert.ok(pause >= 1);
      // The limit is met before the time in which starts are counted is over; otherwise it would be none.
      assert.ok(starts * pause < secondsOf(unit.last('StartLimitIntervalSec')));
    });

    it(`${name}: is the last to be killed, is not swapped out, and keeps the memory that it runs in`, () => {
      assert.ok(Number(unit.last('OOMScoreAdjust')) <= -500);
      assert.equal(unit.last('MemorySwapMax'), '0');
      assert.ok(sizeOf(unit.last('MemoryMin')) >= 64 * 2 ** 20);
    });

    it(`${name}: keeps that memory, because what is above it in the tree of cgroups keeps as much`, () => {
      assert.equal(unit.last('Slice'), 'selfballoon.slice');
      assert.ok(sizeOf(SLICE.last('MemoryMin')) >= sizeOf(unit.last('MemoryMin')));
    });

    it(`${name}: ends by SIGTERM to the daemon alone, with more time than giving back may take (10 s)`, () => {
      assert.ok([null, 'SIGTERM'].includes(unit.last('KillSignal')));
      assert.equal(unit.last('KillMode'), 'mixed');
      assert.ok(secondsOf(unit.last('TimeoutStopSec')) >= (unit === REPORT || unit === AGENT ? 10 : 20));
    });

    if (unit === HOST || unit === VMS) {
      it(`${name}: gives its stop action the time to look for guests, give back and let go`, () => {
        const longest = LOOK_MAX + FAREWELL_MAX + CALL_TIME_LIMIT;
        assert.ok(secondsOf(unit.last('TimeoutStopSec')) * 1_000 >= longest + START_MS);
      });
    }

    it(`${name}: is not waited for to say that it is ready, which it never does`, () => {
      assert.equal(unit.last('Type'), 'exec');
      assert.equal(unit.last('WatchdogSec'), null);
    });

    it(`${name}: may write and execute memory, reach its devices, and open its unix sockets`, () => {
      for (const setting of [
        'MemoryDenyWriteExecute',
        'PrivateDevices',
        'ProtectClock',
        'DevicePolicy',
        'DeviceAllow',
      ]) {
        assert.equal(unit.last(setting), null, setting);
      }
      assert.deepEqual(unit.words('RestrictAddressFamilies'), ['AF_UNIX']);
      assert.notEqual(unit.last('ProtectSystem'), 'strict');
    });
  }

  it('of those that set pressure triggers may set one with a short window', () => {
    for (const unit of [GUEST, REPORT, AGENT])
      assert.ok(unit.words('CapabilityBoundingSet').includes('CAP_SYS_RESOURCE'));
  });
});

describe('the service in a guest', () => {
  it('releases after every end, also one by SIGKILL', () => {
    assert.deepEqual(GUEST.all('ExecStopPost'), ['selfballoon release --unless-driven --hypervisor xen-guest']);
  });

  it('can do so when the daemon is dead: release sets the balloon itself', async (test) => {
    const root = halved(test);
    await releaseAll(withoutDaemon(test, root.path));
    assert.equal(root.target.trim(), '262144');
  });

  it('can do so also when the configuration is what is broken, and says so', async (test) => {
    const root = halved(test);
    const { socket, config } = withoutDaemon(test, root.path);
    writeFileSync(config, 'min_mib = "a lot"\n[tuna');
    const warnings: string[] = [];
    const warn = (text: string): void => void warnings.push(text);
    await releaseAll({ config }, { root: root.path, socket, warn });
    assert.equal(root.target.trim(), '262144');
    assert.match(warnings.join(), /config\.toml.*given back without the configuration/s);
    const failsWith =
      (code: string) =>
      (error: unknown): boolean =>
        error instanceof SelfballoonError && error.code === code;
    // Where the machines are is known from the configuration alone; a Xen host is looked for, and this is none.
    const withFlag = (hypervisor: string): Promise<string> =>
      releaseAll({ config, hypervisor }, { root: root.path, socket, warn });
    await assert.rejects(withFlag('qmp'), failsWith('ECONFIG'));
    await assert.rejects(withFlag('xen-host'), failsWith('ENODEV'));
  });

  it('gives no more than the administrator allows, takes nothing, and does nothing where dry_run is set', async (test) => {
    const root = new XenGuestRoot(test);
    const release = async (lines: string): Promise<string> => {
      putBalloon(root, { target: 131_072, current: 131_072, low: 131_072 });
      const { socket, config } = withoutDaemon(test, root.path);
      writeFileSync(config, `${lines.replace('GUEST', guestName(root.path))}\n[xen_guest]\nroot = "${root.path}"\n`);
      return releaseAll({ socket, config });
    };
    assert.match(await release('[guest."GUEST"]\nmax_mib = 200'), /up to 200 MiB/);
    assert.equal(root.target.trim(), '204800');
    await release('[guest."GUEST"]\nmax_mib = 64');
    assert.equal(root.target.trim(), '131072');
    assert.match(await release('dry_run = true'), /dry_run is set, so nothing was asked for/);
    assert.equal(root.target.trim(), '131072');
  });

  it('stops a balloon that the daemon has left on its way, and asks for no more than there is', async (test) => {
    const root = new XenGuestRoot(test);
    // Pages are in the balloon already that are not yet counted out of the guest.
    putBalloon(root, { target: 65_536, current: 140_000, low: 124_192 });
    const released = releaseAll(withoutDaemon(test, root.path));
    await until('the balloon is stopped', () => root.target.trim() === '140000');
    putBalloon(root, { target: 140_000, current: 140_000, low: 122_144 });
    await released;
    assert.equal(root.target.trim(), '262144');
  });

  it('may switch swap stripes on and off, and write the balloon’s target', () => {
    assert.ok(GUEST.words('CapabilityBoundingSet').includes('CAP_SYS_ADMIN'));
    assert.equal(GUEST.last('ProtectKernelTunables'), null);
  });

  it('comes after swap, without which it does not start', () => {
    const after = GUEST.words('After');
    assert.ok(after.includes('swap.target') && after.includes('selfballoon-stripes.service'));
    assert.ok(UnitFile.read('selfballoon-stripes.service').words('Before').includes('selfballoon-guest.service'));
  });

  it('drives the guest or nothing: never the simulated host', () => {
    assert.ok(GUEST.last('ExecStart')?.includes('--hypervisor xen-guest'));
  });

  it('and the reporter do not run together: a guest is driven from one side', () => {
    assert.ok(GUEST.words('Conflicts').includes('selfballoon-report.service'));
    assert.ok(REPORT.words('Conflicts').includes('selfballoon-guest.service'));
  });
});

describe('the agent in a guest of QEMU', () => {
  const device = 'dev-virtio\\x2dports-org.selfballoon.0.device';

  it('begins and ends with its port, whenever that is plugged in', () => {
    assert.deepEqual(AGENT.words('BindsTo'), [device]);
    assert.deepEqual(AGENT.words('WantedBy'), [device]);
    assert.ok(AGENT.words('After').includes(device));
  });

  it('means the port that the program looks for', () => {
    assert.equal(device.replace('\\x2d', '-'), `dev-virtio-ports-${OWN_PORT}.device`);
  });
});

describe('the service in dom0', () => {
  it('gives everything back after its end, whatever ended it', () => {
    assert.deepEqual(HOST.all('ExecStopPost'), ['selfballoon release --unless-driven --hypervisor xen-host']);
  });

  it('must name the hypervisor for that: without it nobody knows that all domains are meant', async (test) => {
    const root = mkdtempSync(join(tmpdir(), 'selfballoon-dom0-'));
    test.after(() => {
      rmSync(root, { recursive: true });
    });
    for (const [path, text] of [
      ['sys/hypervisor/type', 'xen\n'],
      ['proc/xen/capabilities', 'control_d\n'],
    ] as const) {
      mkdirSync(join(root, path, '..'), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    await assert.rejects(
      releaseAll(withoutDaemon(test, root)),
      (error: unknown) => error instanceof SelfballoonError && error.code === 'EUNAVAILABLE',
    );
  });

  it('comes after xenstored, whoever starts it, and after the guests that are started at boot', () => {
    const after = HOST.words('After');
    for (const unit of ['xen.service', 'xenstored.service', 'xenconsoled.service', 'xendomains.service']) {
      assert.ok(after.includes(unit), unit);
    }
  });
});

describe('the service on a host of QEMU or libvirt', () => {
  it('takes the hypervisor from the configuration, without which it does not start, and gives back by the same', () => {
    assert.deepEqual(VMS.all('ExecStart'), ['selfballoon run --no-table']);
    assert.deepEqual(VMS.all('ExecStopPost'), ['selfballoon release --unless-driven']);
    assert.equal(VMS.last('ConditionPathExists'), '/etc/selfballoon.toml');
  });

  it('gives everything back before libvirt saves machines or shuts them down', () => {
    const after = VMS.words('After');
    for (const unit of ['libvirtd.service', 'virtqemud.service', 'libvirt-guests.service'])
      assert.ok(after.includes(unit), unit);
  });

  it('answers, whoever runs it, where the commands of root look for it', () => {
    const RUNTIME_DIRECTORY = join('/run', VMS.last('RuntimeDirectory') ?? '');
    assert.equal(defaultSocketPath({ RUNTIME_DIRECTORY }, 990), defaultSocketPath({}, 0));
    // Above all the folder must not be writable by others: the daemon would refuse to make a socket there.
    assert.ok([null, '0755', '0750'].includes(VMS.last('RuntimeDirectoryMode')));
  });

  it('sees the sockets that a machine’s starter may have put into the folder for temporary files', () => {
    assert.equal(VMS.last('PrivateTmp'), null);
  });
});

describe('the commands in the units', () => {
  const program = createProgram('0');
  const lines = unitNames().flatMap((name) => UnitFile.read(name).commands);
  const ours = lines.filter((line) => line.startsWith('selfballoon '));

  it('are the program’s, with flags that it has', () => {
    assert.deepEqual(
      ours.map((line) => faultIn(program, line)),
      ours.map(() => null),
    );
    assert.equal(ours.length, 8);
  });

  it('would be found out if they were not', () => {
    assert.equal(faultIn(program, 'selfballoon go'), 'there is no command go');
    assert.equal(faultIn(program, 'selfballoon report --dry-run'), 'report has no flag --dry-run');
    assert.equal(faultIn(program, 'selfballoon run --hypervisor kvm'), '--hypervisor does not take kvm');
  });
});

const ANALYZE = ['systemd-analyze', 'verify', '--man=no', '--recursive-errors=no'] as const;
const isSystemdHere = spawnSync(ANALYZE[0], ['--version']).status === 0;

/** What systemd has against a unit of ours. The program itself need not be installed here. */
function complaints(test: TestContext, name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-verify-'));
  test.after(() => {
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, name);
  writeFileSync(path, text.replaceAll('=selfballoon ', `=${process.execPath} `));
  const { stderr } = spawnSync(ANALYZE[0], [...ANALYZE.slice(1), path], { encoding: 'utf8' });
  return stderr
    .split('\n')
    .filter((line) => line.includes(name))
    .join('\n');
}

describe('systemd', { skip: !isSystemdHere && 'systemd-analyze is not installed here' }, () => {
  for (const name of unitNames()) {
    it(`understands every line of ${name}`, (test) => {
      assert.equal(complaints(test, name, unitText(name)), '');
    });
  }

  it('would complain of a line that it does not know', (test) => {
    const name = 'selfballoon-guest.service';
    assert.match(complaints(test, name, unitText(name).replace('MemoryMin=', 'MemoryLeast=')), /MemoryLeast/);
  });
});

describe('the package', () => {
  it('has the units in it', () => {
    const { files } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as {
      readonly files: readonly string[];
    };
    assert.ok(files.includes('packaging'));
  });
});
