/** Protects which domains are taken to be there: none missed, none twice, none lost with libvirtd, whatever they are called. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { guestSize, pages } from '../../../src/units.js';
import { until } from '../../qmp/support/opened.js';
import { domainOf, openRig, Rig } from './support/rig.js';

const NEVER = new AbortController().signal;

describe('the domains of libvirt', () => {
  it('come and go as libvirt’s events say', async (test) => {
    const rig = await openRig(test, 'one');
    const two = rig.libvirt.add('two');
    rig.libvirt.emit('lifecycle', 'two', 'Started Booted');
    await rig.untilLog('came libvirt/one', 'came libvirt/two');
    rig.libvirt.remove(two);
    await rig.untilLog('came libvirt/one', 'came libvirt/two', 'left libvirt/two');
  });

  it('are noticed without an event too, by the next look and after a gap in the events', async (test) => {
    const rig = await openRig(test, 'one');
    rig.libvirt.add('two');
    await rig.look(['libvirt/one']);
    await rig.untilLog('came libvirt/one', 'came libvirt/two');
    rig.libvirt.domains.shift();
    const [, failed] = await rig.look(['libvirt/one']);
    assert.ok(failed?.kind === 'reading-failed' && failed.error.code === 'EIO');
    await rig.untilLog('came libvirt/one', 'came libvirt/two', 'left libvirt/one');
  });

  it('that start while listening begins are found a second later', async (test) => {
    const rig = await openRig(test, 'one');
    rig.libvirt.add('two');
    await rig.pass(1_001);
    await rig.untilLog('came libvirt/one', 'came libvirt/two');
  });

  it('leave and come under the same id when they are started anew, and are asked for statistics again', async (test) => {
    const rig = await openRig(test, 'one');
    const one = domainOf(rig, 'one');
    await until('its statistics are on', () => one.period === 1);
    rig.libvirt.restart(one);
    await rig.untilLog('came libvirt/one', 'left libvirt/one', 'came libvirt/one');
    await until('its statistics are on again', () => one.period === 1);
  });

  it('have names fit for logs, and ids that differ though the names do only in what is not kept', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    for (const name of ['a b', 'a_b', "it's", '7', 'Domain: x']) rig.libvirt.add(name);
    rig.watch();
    await until('all came', () => rig.notices.length === 5);
    const ids = rig.log.map((line) => line.replace('came ', ''));
    assert.equal(new Set(ids).size, 5);
    for (const id of ids) assert.match(id, /^libvirt\/[\w.:-]{1,247}$/);
    const read = (await rig.look(ids)).filter(({ kind }) => kind === 'reading');
    assert.equal(read.length, 5);
  });

  it('stay while libvirtd is away, cannot be read, and are compared with its list when it is back', async (test) => {
    const rig = await openRig(test, 'one', 'two');
    rig.isUp = false;
    rig.connection.lose();
    await until('it is told', () => rig.told.length === 1);
    const outcomes = await rig.look(['libvirt/one', 'libvirt/two']);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.kind === 'reading-failed' ? outcome.error.code : outcome.kind)),
      ['host-reading', 'EUNAVAILABLE', 'EUNAVAILABLE'],
    );
    assert.equal(rig.notices.length, 2);
    rig.libvirt.domains.pop();
    rig.isUp = true;
    await rig.pass(10_000);
    await rig.untilLog('came libvirt/one', 'came libvirt/two', 'left libvirt/two');
    assert.match(rig.told.join('\n'), /libvirt at qemu:\/\/\/fake is lost.*\n.*is connected to again$/);
    assert.ok((await rig.reading('libvirt/one')).current.known);
  });

  it('are not taken for known before libvirt has told them, after each connection anew', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    const told = (): string => rig.host.unreached?.().join() ?? '';
    let answer = (): void => undefined;
    const holdList = (): void => {
      const held = new Promise<void>((resolve) => (answer = resolve));
      rig.libvirt.tamper = (line) => (line.startsWith('list') ? held.then(() => '') : undefined);
    };
    const isMeeting = (): boolean | undefined => rig.host.isMeeting;
    holdList();
    rig.watch();
    assert.equal(isMeeting(), true, 'there is no connection yet');
    for (let turn = 0; turn < 5; turn += 1) await rig.pass(1);
    assert.match(told(), /it has not told all of its domains yet/);
    assert.equal(isMeeting(), true, 'there is one');
    answer();
    await until('they are known', () => told() === '');
    assert.equal(isMeeting(), false);
    holdList();
    rig.connection.lose();
    await until('it is lost', () => told() !== '');
    assert.equal(isMeeting(), false, 'it may be away for long');
    await rig.pass(1_000);
    assert.match(told(), /it has not told all of its domains yet/);
    assert.equal(isMeeting(), true, 'it is back');
    answer();
    await until('they are known again', () => told() === '');
  });

  it('are told of at once when their guests begin anew, and are the same domains', async (test) => {
    const rig = await openRig(test, 'one', 'two');
    rig.libvirt.emitPlain('reboot', 'two');
    await rig.untilLog('came libvirt/one', 'came libvirt/two', 'alarm libvirt/two');
    const notice = rig.notices.at(-1);
    assert.ok(notice?.kind === 'guest-alarm' && notice.alarm.cause === 'restarted');
  });

  it('keep what they are told that they may when their guests begin anew, until their new drivers speak', async (test) => {
    const rig = await openRig(test, 'one');
    const one = domainOf(rig, 'one');
    one.current = 300 * 1_024;
    const held = async (): Promise<number | null> => {
      const { current } = await rig.reading('libvirt/one');
      return current.known ? current.value / 256 : null;
    };
    assert.equal(await held(), 300);
    rig.libvirt.emitPlain('reboot', 'one');
    await rig.untilLog('came libvirt/one', 'alarm libvirt/one');
    assert.equal(await held(), 300);
    rig.libvirt.tamper = (line) => (line.startsWith('setmem') ? '\n' : undefined);
    await rig.host.setTarget('libvirt/one', guestSize(pages(700 * 256)), NEVER);
    assert.equal(await held(), 700);
    await rig.pass(2_000);
    one.current = 500 * 1_024;
    assert.equal(await held(), 500);
  });

  it('are told of as changed when the balloon is unplugged', async (test) => {
    const rig = await openRig(test, 'one');
    domainOf(rig, 'one').hasBalloon = false;
    rig.libvirt.emit('device-removed', 'one', 'balloon0');
    await rig.untilLog('came libvirt/one', 'changed libvirt/one');
    const changed = rig.notices.at(-1);
    assert.ok(changed?.kind === 'guest-changed' && !changed.guest.capabilities.canSetTarget);
  });

  it('say whether their balloons deflate when the guest runs out of memory: one without swap is made no smaller otherwise', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    rig.libvirt.add('yields');
    rig.libvirt.add('keeps', { autodeflate: false });
    rig.watch();
    await rig.untilLog('came libvirt/yields', 'came libvirt/keeps');
    const deflate = rig.notices.map(
      (notice) => notice.kind === 'guest-came' && notice.guest.capabilities.deflatesOnOom,
    );
    assert.deepEqual(deflate, [true, false]);
  });

  it('that cannot be described are told of, and the others are there', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    const bad = rig.libvirt.add('bad');
    rig.libvirt.add('good');
    rig.libvirt.tamper = (line) => (line === `dumpxml ${bad.uuid}` ? '<domain' : undefined);
    rig.watch();
    await rig.untilLog('came libvirt/good');
    assert.match(rig.told.join('\n'), new RegExp(`${bad.uuid} cannot be seen: .*no XML`));
  });

  it('that could not be described when they were started anew are met when anything is heard again', async (test) => {
    const rig = await openRig(test, 'one', 'two');
    let failures = 0;
    rig.libvirt.tamper = (line) => {
      if (!line.startsWith('dumpxml') || failures > 0) return undefined;
      failures += 1;
      return '<domain';
    };
    const one = domainOf(rig, 'one');
    one.id += 100;
    rig.libvirt.emit('lifecycle', 'one', 'Started Booted');
    await until('it could not be described', () => rig.told.length === 1);
    rig.libvirt.emit('device-added', 'two', 'net1');
    await rig.untilLog('came libvirt/one', 'came libvirt/two', 'left libvirt/one', 'came libvirt/one');
  });
});

describe('the statistics of a domain', () => {
  it('are switched on, and put back as they were at the end', async (test) => {
    const rig = new Rig();
    test.after(() => rig.host.close());
    const [off, slow, ours] = [0, 10, 1].map((period) => rig.libvirt.add(`p${period}`, { period }));
    rig.watch();
    await until('all came', () => rig.notices.length === 3);
    await until('they are on', () => rig.libvirt.domains.every(({ period }) => period === 1));
    await rig.host.close();
    assert.deepEqual([off?.period, slow?.period, ours?.period], [0, 10, 1]);
    const asked = rig.libvirt.asked.filter((line) => line.startsWith('dommemstat'));
    assert.equal(asked[0], `dommemstat ${off?.uuid} --period 1 --live`);
    assert.equal(asked.length, 4);
  });

  it('are put back as they were first, also after libvirtd was restarted', async (test) => {
    const rig = await openRig(test, 'one');
    const one = domainOf(rig, 'one');
    await until('they are on', () => one.period === 1);
    rig.connection.lose();
    await until('it is told', () => rig.told.length === 1);
    await rig.pass(1_000);
    const described = (): number => rig.libvirt.asked.filter((line) => line.startsWith('dumpxml')).length;
    await until('it is connected again', () => rig.told.length === 2 && described() > 1);
    await rig.host.close();
    assert.equal(one.period, 0);
  });

  it('are switched on again where somebody has switched them off, half a minute later', async (test) => {
    const rig = await openRig(test, 'one');
    const one = domainOf(rig, 'one');
    await until('they are on', () => one.period === 1);
    one.period = 0;
    await rig.reading('libvirt/one');
    await rig.pass(30_001);
    await rig.reading('libvirt/one');
    await until('they are on again', () => one.period === 1);
  });

  it('do not hold up the end when a domain does not answer', async (test) => {
    const rig = await openRig(test, 'one');
    await until('they are on', () => domainOf(rig, 'one').period === 1);
    domainOf(rig, 'one').held = new Promise(() => undefined);
    const closing = rig.host.close();
    await rig.pass(2_001);
    await closing;
  });
});
