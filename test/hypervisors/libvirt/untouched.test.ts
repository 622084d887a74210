/** Protects the host of libvirt's domains from promising memory again that a guest was given and has not touched yet. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ReadOutcome } from '../../../src/control/ports.js';
import { fakePlug } from '../../virsh/support/fake-libvirt.js';
import { domainOf, openRig } from './support/rig.js';

const MIB = 1_024;

/** In MiB. */
function freeIn(outcomes: readonly ReadOutcome[]): readonly number[] {
  return outcomes.flatMap((outcome) =>
    outcome.kind === 'host-reading' && outcome.host.free.known ? [outcome.host.free.value / 256] : [],
  );
}

describe('memory that a domain was given again', () => {
  it('is not free any more from the look on that sees it held', async (test) => {
    const rig = await openRig(test, 'one', 'two');
    const one = domainOf(rig, 'one');
    one.resident = 40 * MIB;
    const look = async (currentMib: number): Promise<readonly number[]> => {
      one.current = currentMib * MIB;
      return freeIn(await rig.look(['libvirt/one', 'libvirt/two']));
    };
    const [free = NaN] = await look(512);
    assert.deepEqual(await look(100), [free]);
    assert.deepEqual(await look(200), [free - 100]);
    one.resident = 150 * MIB;
    assert.deepEqual(await look(200), [free - 50]);
  });

  it('by plugging counts as soon as a description says so', async (test) => {
    const rig = await openRig(test, 'one');
    const plug = fakePlug();
    Object.assign(domainOf(rig, 'one'), { plugs: [plug], current: 100 * MIB, resident: 40 * MIB });
    rig.libvirt.emit('device-added', 'one', 'virtiomem0');
    await rig.untilLog('came libvirt/one', 'changed libvirt/one');
    const [free = NaN] = freeIn(await rig.look(['libvirt/one']));
    const { tamper } = rig.libvirt;
    rig.libvirt.tamper = (line) => {
      // It is plugged in between the two questions.
      if (line.startsWith('dumpxml')) Object.assign(plug, { requested: 64 * MIB, current: 64 * MIB });
      return tamper(line);
    };
    plug.requested = 64 * MIB;
    await rig.pass(31_000);
    assert.deepEqual(freeIn(await rig.look(['libvirt/one'])), [free, free - 64]);
  });

  it('by plugging is not free either while no description can be read', async (test) => {
    const rig = await openRig(test, 'one');
    const plug = fakePlug();
    Object.assign(plug, { requested: 64 * MIB, current: 64 * MIB });
    Object.assign(domainOf(rig, 'one'), { plugs: [plug], current: 100 * MIB, resident: 40 * MIB });
    rig.libvirt.emit('device-added', 'one', 'virtiomem0');
    await rig.untilLog('came libvirt/one', 'changed libvirt/one');
    await rig.look(['libvirt/one']);
    Object.assign(plug, { requested: 128 * MIB, current: 128 * MIB });
    await rig.pass(31_000);
    const lastFree = async (): Promise<number | undefined> => freeIn(await rig.look(['libvirt/one'])).at(-1);
    const free = await lastFree();
    rig.libvirt.tamper = (line) => (line.startsWith('dumpxml') ? 'error: no description\n' : undefined);
    await rig.pass(31_000);
    const outcomes = await rig.look(['libvirt/one']);
    const reading = outcomes.find(({ kind }) => kind === 'reading');
    assert.ok(reading?.kind === 'reading' && !reading.reading.current.known, 'what is plugged in is not known');
    assert.equal(freeIn(outcomes).at(-1), free);
    assert.equal(await lastFree(), free);
  });

  it('is not free for others while a guest that begins anew may touch all of it', async (test) => {
    const rig = await openRig(test, 'one', 'two');
    const one = domainOf(rig, 'one');
    Object.assign(one, { current: 900 * MIB, resident: 60 * MIB });
    const lookAt = async (guest: string): Promise<number | undefined> => freeIn(await rig.look([guest]))[0];
    const free = (await lookAt('libvirt/one')) ?? NaN;
    rig.libvirt.emitPlain('reboot', 'one');
    await rig.untilLog('came libvirt/one', 'came libvirt/two', 'alarm libvirt/one');
    assert.equal(await lookAt('libvirt/two'), free - 124);
    assert.equal(await lookAt('libvirt/one'), free - 124);
    assert.equal(await lookAt('libvirt/two'), free - 124);
    await rig.pass(2_000);
    rig.libvirt.emit('balloon-change', 'one', '921600KiB');
    await lookAt('libvirt/one');
    assert.equal(await lookAt('libvirt/two'), free);
  });
});
