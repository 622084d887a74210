/** Protects the command line of the QEMU lab's machines: an option that is asked for is there, and nothing else is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeMachine, emulatorArguments, type QemuGuestOptions } from '../../lab/qemu/machine.js';

const IMAGES = { kernel: '/k', initrd: '/i', tools: '/t' };
const PLAIN: QemuGuestOptions = { name: 'web', memoryMib: 512, folder: '/run/lab' };

const argumentsOf = (options: Partial<QemuGuestOptions>): string =>
  emulatorArguments(IMAGES, { ...PLAIN, ...options }).join(' ');

describe("the QEMU lab's machine", () => {
  it('is plain where nothing is asked for: a balloon that deflates on OOM, and no memory to plug', () => {
    const words = argumentsOf({});
    assert.match(words, /virtio-balloon-pci,id=balloon0,deflate-on-oom=on,free-page-reporting=off/);
    assert.match(words, / -m 512 /);
    assert.match(words, / -smp 1 /);
    assert.doesNotMatch(words, /virtio-mem|guest_agent|org\.selfballoon\.0|lab\.swap|serial=app|serial=data/);
  });

  it('has its balloon as it is asked for', () => {
    assert.match(
      argumentsOf({ deflatesOnOom: false, reportsFreePages: true }),
      /deflate-on-oom=off,free-page-reporting=on/,
    );
  });

  it('has memory to plug beside what it boots with, and none of it plugged', () => {
    const words = argumentsOf({ pluggableMib: 1_024 });
    assert.match(words, / -m 512,maxmem=1536M /);
    assert.match(words, /memory-backend-ram,id=pluggable,size=1024M/);
    assert.match(words, /virtio-mem-pci,id=vmem0,memdev=pluggable,requested-size=0/);
  });

  it('is told to other ways of starting it by its parts', () => {
    const machine = describeMachine(IMAGES, {
      ...PLAIN,
      swapMib: 64,
      hasGuestAgent: true,
      hasOwnPort: true,
      app: '/a',
      data: '/d',
    });
    assert.match(machine.append, /\blab\.name=web lab\.swap=64$/);
    assert.deepEqual(machine.disks, [
      { serial: 'tools', file: '/t' },
      { serial: 'app', file: '/a' },
      { serial: 'data', file: '/d' },
    ]);
    assert.deepEqual(machine.ports, [
      { name: 'org.selfballoon.lab', path: '/run/lab/web.command' },
      { name: 'org.selfballoon.load', path: '/run/lab/web.load' },
      { name: 'org.qemu.guest_agent.0', path: '/run/lab/web.guestAgent' },
      { name: 'org.selfballoon.0', path: '/run/lab/web.ownAgent' },
    ]);
  });
});
