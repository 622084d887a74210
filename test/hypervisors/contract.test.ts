/** Protects that all adapters mean the same by the port: the loop and the core know only that. */
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createEmbeddedHypervisor } from '../../src/hypervisors/embedded/embedded.js';
import { openThisMachine } from '../../src/hypervisors/this-machine/this-machine.js';
import { openXenGuest } from '../../src/hypervisors/xen-guest/client.js';
import { LIVES, SimHost, VirtualClock } from '../../src/sim/index.js';
import { addMillis, mib, mibToPages, millis, secondsToMillis } from '../../src/units.js';
import { temporaryFolder } from '../signals/proc-roots.js';
import { fixture } from '../support/paths.js';
import { fakePlug } from '../qmp/support/fake-machine.js';
import { fakePlug as fakeDomainPlug } from '../virsh/support/fake-libvirt.js';
import { describeContract, GROWS, type Subject } from './contract.js';
import { domainOf, openRig as openLibvirtRig } from './libvirt/support/rig.js';
import { Rig } from './qmp/support/rig.js';
import { ONE, openTwo, TARGET } from './xen-host/support/two-domains.js';

const SIZES = [40_000, 50_000] as const;
const nothing = (): Promise<void> => Promise.resolve();

const CANNOT_SET = [
  'sets a guest to the size that it is to keep',
  'leaves a guest at the newest of the sizes that are asked for at once',
  'sets nothing under a signal that is aborted already',
  'leaves what it asked for as it is when it is closed',
];
const ONLY_WATCHES = 'refuses to set a guest that it says it cannot set';

function embedded(test: TestContext): Promise<Subject> {
  const memory = mibToPages(mib(512));
  const host = new SimHost({ seed: 1, totalPages: mibToPages(mib(4_096)) });
  host.addGuest({ name: 'one', bootPages: memory, maximumPages: memory, workload: LIVES.idle });
  host.addGuest({ name: 'two', bootPages: memory, maximumPages: memory, workload: LIVES.idle });
  const pluggablePages = mibToPages(mib(128));
  host.addGuest({ name: 'grows', bootPages: memory, maximumPages: memory, pluggablePages, workload: LIVES.idle });
  const clock = new VirtualClock();
  const hypervisor = createEmbeddedHypervisor({ host, clock });
  test.after(() => hypervisor.close());
  return Promise.resolve({
    hypervisor,
    guest: 'embedded/one',
    sizes: SIZES,
    now: () => clock.now(),
    told: () => host.guest('one')?.kernel.balloon.currentPages ?? null,
    growing: { guest: 'embedded/grows', told: () => host.guest('grows')?.kernel.plugged.askedPages ?? NaN },
    settle: async () => {
      await clock.advanceTo(addMillis(clock.now(), secondsToMillis(10)));
      host.advanceTo(clock.now());
    },
  });
}

function xenGuest(test: TestContext): Promise<Subject> {
  const root = temporaryFolder(test);
  cpSync(fixture('xen-guest'), root, { recursive: true });
  const hypervisor = openXenGuest({ root, now: () => millis(1_234), tier: null });
  test.after(() => hypervisor.close());
  const target = join(root, 'sys/devices/system/xen_memory/xen_memory0/target_kb');
  return Promise.resolve({
    hypervisor,
    guest: 'xen-guest/web-1',
    sizes: SIZES,
    now: () => millis(1_234),
    told: () => Number(readFileSync(target, 'utf8')) / 4,
    settle: nothing,
  });
}

async function xenHost(test: TestContext): Promise<Subject> {
  const rig = await openTwo(test);
  rig.stopWatching();
  await rig.settle();
  return {
    hypervisor: rig.host,
    guest: ONE,
    sizes: SIZES,
    now: () => rig.clock.now(),
    told: () => Number(rig.xen.text(TARGET)) / 4,
    settle: () => rig.settle(),
  };
}

async function qmpHost(test: TestContext): Promise<Subject> {
  const rig = new Rig();
  test.after(() => rig.host.close());
  const { machine } = await rig.addQemu(test, 'one');
  const plug = fakePlug();
  (await rig.addQemu(test, 'two')).machine.plugs = [plug];
  rig.watch();
  await rig.untilCame(2);
  rig.stopWatching();
  return {
    hypervisor: rig.host,
    guest: 'qmp/one',
    sizes: SIZES,
    now: () => rig.clock.now(),
    told: () => (machine.target === null ? null : machine.target / 4_096),
    growing: { guest: 'qmp/two', told: () => plug.requested / 4_096 },
    settle: () => rig.pass(1),
  };
}

async function libvirtHost(test: TestContext): Promise<Subject> {
  const rig = await openLibvirtRig(test, 'one', 'two');
  const plugs = [fakeDomainPlug({ size: 4 * 2_048 }), fakeDomainPlug({ alias: 'virtiomem1' })];
  rig.libvirt.add('grows', { plugs });
  rig.libvirt.emit('lifecycle', 'grows', 'Started Booted');
  await rig.untilLog('came libvirt/one', 'came libvirt/two', 'came libvirt/grows');
  rig.stopWatching();
  const told = (): number | null => {
    const { target } = domainOf(rig, 'one');
    return target === null ? null : target / 4;
  };
  return {
    hypervisor: rig.host,
    guest: 'libvirt/one',
    sizes: SIZES,
    now: () => rig.clock.now(),
    told,
    growing: {
      guest: 'libvirt/grows',
      told: () => plugs.reduce((sum, { requested }) => sum + requested, 0) / 4,
    },
    settle: () => rig.pass(1),
  };
}

function thisMachine(test: TestContext): Promise<Subject> {
  const root = temporaryFolder(test);
  cpSync(fixture('xen-guest'), root, { recursive: true });
  const hypervisor = openThisMachine({ root, now: () => millis(5_000) });
  test.after(() => hypervisor.close());
  return Promise.resolve({
    hypervisor,
    guest: 'this-machine/web-1',
    sizes: SIZES,
    now: () => millis(5_000),
    told: () => null,
    settle: nothing,
  });
}

const CANNOT_GROW = { reason: 'its guests have their boot memory and no more', tests: GROWS };
const CAN_SET = { reason: 'its guests can be set', tests: [ONLY_WATCHES] };

describeContract('the embedded simulated host', { open: embedded, skip: [CAN_SET] });

describeContract('the inside of a Xen guest', {
  open: xenGuest,
  skip: [
    CAN_SET,
    CANNOT_GROW,
    {
      reason: 'its one guest is there as long as the program is: the watch ends with its signal alone',
      tests: ['ends the watch when it is told to, and when it is closed'],
    },
    {
      reason: 'it reads files of its own kernel, which answer also after closing: with unknown signals',
      tests: ['reads nothing once it is closed'],
    },
  ],
});

describeContract('a Xen host', { open: xenHost, skip: [CAN_SET, CANNOT_GROW] });

describeContract('machines behind QEMU monitors', { open: qmpHost, skip: [CAN_SET] });

describeContract('domains of libvirt', { open: libvirtHost, skip: [CAN_SET] });

describeContract('this machine', {
  open: thisMachine,
  skip: [{ reason: 'it is only watched', tests: [...CANNOT_SET, ...GROWS] }],
});
