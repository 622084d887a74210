/**
 * Protects domains whose memory stays with their QEMU, as huge pages do: they are announced as such by their descriptions, also where a
 * device is passed through while they run, and do not count in what others may have. Shown both ways, with the same domain without.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GuestDescription } from '../../../src/control/ports.js';
import { parseDomainXml } from '../../../src/virsh/index.js';
import { until } from '../../qmp/support/opened.js';
import { fakePlug } from '../../virsh/support/fake-libvirt.js';
import { domainOf, openRig, type Rig } from './support/rig.js';

const MIB = 1_024;
const PASSED = "<hostdev mode='subsystem' type='pci' managed='yes'/>";

const keptBy = (backing: string, devices = ''): string | null =>
  parseDomainXml([
    `<domain id='1'><name>x</name><uuid>u</uuid><memoryBacking>${backing}</memoryBacking>`,
    `<devices><memballoon model='virtio'/>${devices}</devices></domain>`,
  ]).keptBy;

describe('the description of a domain whose memory stays with its QEMU', () => {
  it('has huge pages, or locked memory', () => {
    assert.equal(keptBy('<hugepages/>'), '<hugepages/> in <memoryBacking>');
    assert.equal(
      keptBy("<hugepages><page size='2048' unit='KiB' nodeset='1'/></hugepages>")?.slice(0, 12),
      '<hugepages/>',
    );
    assert.equal(keptBy("<nosharepages/><locked/><source type='memfd'/>"), '<locked/> in <memoryBacking>');
  });

  it('has a device for which all of it is pinned', () => {
    assert.equal(keptBy('', PASSED), "<hostdev type='pci'>");
    assert.equal(keptBy('', "<hostdev type='mdev' model='vfio-pci'/>"), "<hostdev type='mdev'>");
    assert.equal(keptBy('', "<interface type='hostdev'/>"), "<interface type='hostdev'>");
    assert.equal(keptBy('', "<interface type='bridge'/><interface type='vdpa'/>"), "<interface type='vdpa'>");
    assert.equal(keptBy('', "<disk type='vhostvdpa'/>"), "<disk type='vhostvdpa'>");
  });

  it('is not that of any other', () => {
    assert.equal(keptBy(''), null);
    assert.equal(keptBy("<hugepages><page size='4' unit='KiB'/></hugepages><allocation mode='immediate'/>"), null);
    const harmless = "<hostdev type='usb'/><hostdev type='mdev' model='vfio-ap'/><interface type='network'/>";
    assert.equal(keptBy('', `${harmless}<disk type='file'/>`), null);
  });
});

/** As last announced. */
function announced({ notices }: Rig): Pick<GuestDescription, 'capabilities' | 'pool'> {
  const last = notices.findLast(({ kind }) => kind === 'guest-came' || kind === 'guest-changed');
  if (last?.kind !== 'guest-came' && last?.kind !== 'guest-changed') throw new assert.AssertionError({});
  return last.guest;
}

describe('a domain whose memory stays with its QEMU', () => {
  it('is announced as such, as soon as that is so', async (test) => {
    const rig = await openRig(test, 'one');
    const one = domainOf(rig, 'one');
    one.plugs = [fakePlug()];
    rig.libvirt.emit('device-added', 'one', 'virtiomem0');
    await rig.untilLog('came libvirt/one', 'changed libvirt/one');
    assert.deepEqual([announced(rig).capabilities.growthBlock, announced(rig).pool], [512, 'libvirt']);
    one.devices = PASSED;
    rig.libvirt.emit('device-added', 'one', 'hostdev0');
    await rig.untilLog('came libvirt/one', 'changed libvirt/one', 'changed libvirt/one');
    const { capabilities, pool } = announced(rig);
    assert.deepEqual([capabilities.keepsMemory, capabilities.growthBlock, pool], [true, 512, 'libvirt']);
    assert.match(
      rig.told.at(-1) ?? '',
      /^guest libvirt\/one: its description has <hostdev type='pci'>\. .*ordinary memory/,
    );
    const asked = rig.libvirt.asked.length;
    rig.libvirt.emit('device-added', 'one', 'net1');
    await until('it was described anew', () => rig.libvirt.asked.slice(asked).some((line) => /^dumpxml/.test(line)));
    one.devices = '';
    rig.libvirt.emit('device-removed', 'one', 'hostdev0');
    const changed = 'changed libvirt/one';
    await rig.untilLog('came libvirt/one', changed, changed, changed);
    assert.equal(rig.told.filter((text) => /its description has/.test(text)).length, 1, 'it is said once');
    assert.deepEqual([announced(rig).capabilities.keepsMemory, announced(rig).pool], [undefined, 'libvirt']);
    assert.match(rig.told.at(-1) ?? '', /its memory is ordinary again/);
  });

  it('does not count in what others may have, however much of it was given again', async (test) => {
    const freeAfterGrowth = async (devices: string): Promise<number> => {
      const rig = await openRig(test, 'one');
      const one = domainOf(rig, 'one');
      Object.assign(one, { devices, resident: 60 * MIB });
      rig.libvirt.emit('device-added', 'one', 'hostdev0');
      await rig.pass(1_000);
      const lookAt = async (currentMib: number): Promise<number> => {
        one.current = currentMib * MIB;
        const found = (await rig.look(['libvirt/one'])).findLast(({ kind }) => kind === 'host-reading');
        return found?.kind === 'host-reading' && found.host.free.known ? found.host.free.value / 256 : NaN;
      };
      const free = await lookAt(100);
      return free - (await lookAt(200));
    };
    assert.equal(await freeAfterGrowth(PASSED), 0);
    assert.equal(await freeAfterGrowth(''), 100);
  });

  it('is only watched without a balloon, and nobody is told that nothing is taken', async (test) => {
    const rig = await openRig(test, 'one');
    Object.assign(domainOf(rig, 'one'), { devices: PASSED, hasBalloon: false });
    rig.libvirt.emit('device-added', 'one', 'hostdev0');
    await rig.untilLog('came libvirt/one', 'changed libvirt/one');
    assert.equal(announced(rig).capabilities.canSetTarget, false);
    assert.deepEqual(rig.told, []);
  });
});
