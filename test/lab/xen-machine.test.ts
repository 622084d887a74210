/** Protects the Xen lab's guests from a machine that is too small for them: it grows with what they may have. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { emulatorArguments, machineMib } from '../../lab/xen/emulator.js';

const DOM0_MIB = 800;
const IMAGES = {
  xen: '/x',
  kernel: { image: '/k', release: '1', modules: '/m' },
  dom0Initrd: '/i',
  dom0Root: '/d',
  guestRoot: '/g',
};

describe("the Xen lab's machine", () => {
  it('has room for dom0, and for Xen, where there is no guest', () => {
    assert.ok(machineMib(DOM0_MIB, []) > DOM0_MIB);
  });

  it('grows by the most that each guest may have, however many there are', () => {
    const none = machineMib(DOM0_MIB, []);
    assert.equal(machineMib(DOM0_MIB, [{ memoryMib: 512 }]), none + 512);
    assert.equal(machineMib(DOM0_MIB, [{ memoryMib: 192, maximumMib: 512 }]), none + 512);
    const twenty = Array.from({ length: 20 }, () => ({ memoryMib: 512 }));
    assert.equal(machineMib(DOM0_MIB, twenty), none + 20 * 512);
  });

  it('is emulated with that memory', () => {
    const machine = { images: IMAGES, appImage: '/a', folder: '/run/lab', memoryMib: 5_000, dom0Mib: DOM0_MIB };
    const words = emulatorArguments(machine).join(' ');
    assert.match(words, / -m 5000 /);
    assert.match(words, /dom0_mem=800M,max:800M/);
  });
});
