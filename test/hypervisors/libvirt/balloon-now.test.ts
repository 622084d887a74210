/**
 * Protects that a domain which moves is measured by what its balloon is now, and not by what libvirt heard of it up to a second ago: it was told
 * to come down and to grow again in turn otherwise, at rounds of a second.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { guestSize, pages } from '../../../src/units.js';
import { fakePlug } from '../../virsh/support/fake-libvirt.js';
import { domainOf, openRig, type Rig } from './support/rig.js';

const MIB = 1_024;
const NEVER = new AbortController().signal;

const heldMib = async (rig: Rig): Promise<number> => {
  const { current } = await rig.reading('libvirt/one');
  return current.known ? current.value / 256 : NaN;
};
const askFor = (rig: Rig, mib: number): Promise<void> =>
  rig.host.setTarget('libvirt/one', guestSize(pages(mib * 256)), NEVER);
const timesAsked = ({ libvirt }: Rig): number => libvirt.asked.filter((line) => /^dommemstat \S+$/.test(line)).length;

describe('a domain that was asked for another size', () => {
  it('holds what its balloon is now, whatever libvirt has heard', async (test) => {
    const rig = await openRig(test, 'one');
    assert.equal(await heldMib(rig), 1_024);
    domainOf(rig, 'one').heard = 1_024 * MIB;
    await askFor(rig, 500);
    assert.equal(await heldMib(rig), 500);
    await rig.pass(1_000);
    await askFor(rig, 600);
    assert.equal(await heldMib(rig), 600);
  });

  it('is asked by itself only until libvirt has heard of it', async (test) => {
    const rig = await openRig(test, 'one');
    await heldMib(rig);
    assert.equal(timesAsked(rig), 0);
    await askFor(rig, 500);
    for (let second = 0; second < 10; second += 1) {
      await heldMib(rig);
      await rig.pass(1_000);
    }
    const asked = timesAsked(rig);
    assert.ok(asked >= 2 && asked <= 4, String(asked));
  });

  it('is not asked by itself where libvirt could not ask it a moment ago, nor where memory can be plugged in', async (test) => {
    const rig = await openRig(test, 'one');
    const one = domainOf(rig, 'one');
    await heldMib(rig);
    await askFor(rig, 500);
    one.lastUpdate = null;
    await heldMib(rig);
    one.lastUpdate = 0;
    one.plugs = [fakePlug()];
    rig.libvirt.emit('device-added', 'one', 'virtiomem0');
    await rig.untilLog('came libvirt/one', 'changed libvirt/one');
    await heldMib(rig);
    assert.equal(timesAsked(rig), 0);
  });

  it('is asked by itself with 31 others at most, and one of those left out when there is room again', async (test) => {
    const names = Array.from({ length: 40 }, (_, n) => `d${n}`);
    const rig = await openRig(test, ...names);
    const ids = names.map((name) => `libvirt/${name}`);
    await rig.look(ids);
    for (const id of ids) await rig.host.setTarget(id, guestSize(pages(500 * 256)), NEVER);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    rig.libvirt.tamper = (line) => (/^dommemstat \S+$/.test(line) ? held.then(() => 'actual 512000\n') : undefined);
    const first = rig.look(ids);
    await rig.pass(1);
    assert.equal(timesAsked(rig), 32);
    release();
    const outcomes = await first;
    assert.equal(
      outcomes.filter(({ kind }) => kind === 'reading').length,
      40,
      'all are read, asked by themselves or not',
    );
    await rig.look(['libvirt/d39']);
    assert.equal(timesAsked(rig), 33);
  });

  it('holds what libvirt has heard where its QEMU does not say', async (test) => {
    const rig = await openRig(test, 'one');
    await heldMib(rig);
    domainOf(rig, 'one').heard = 700 * MIB;
    await askFor(rig, 500);
    rig.libvirt.tamper = (line) => (/^dommemstat \S+$/.test(line) ? '\nerror: internal error: no\n' : undefined);
    assert.equal(await heldMib(rig), 700);
  });
});
