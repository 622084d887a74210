/** Protects the reading of events: what is malformed is no news, and never a wrong one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeEvent, type MachineNews } from '../../src/qmp/events.js';
import { objectIn } from '../../src/qmp/fields.js';
import { useSeed } from '../support/seed.js';

useSeed();

const news = (name: string, data: unknown = {}): MachineNews | null =>
  decodeEvent({ name, data: objectIn(data), at: null });

const NAMES = ['BALLOON_CHANGE', 'MEMORY_DEVICE_SIZE_CHANGE', 'SHUTDOWN', 'RESET', 'STOP', 'RESUME', 'VSERPORT_CHANGE']
  .concat('DEVICE_DELETED', 'ACPI_DEVICE_OST')
  .concat('__proto__', 'constructor', 'toString', '');

describe('an event', () => {
  it('says what it says', () => {
    assert.deepEqual(news('BALLOON_CHANGE', { actual: 944_766_976 }), { kind: 'balloon-change', actual: 944_766_976 });
    assert.deepEqual(news('MEMORY_DEVICE_SIZE_CHANGE', { id: 'vm0', size: 1_073_741_824, 'qom-path': '/machine/x' }), {
      kind: 'memory-device-size-change',
      id: 'vm0',
      size: 1_073_741_824,
      qomPath: '/machine/x',
    });
    assert.deepEqual(news('SHUTDOWN', { guest: false, reason: 'host-qmp-quit' }), {
      kind: 'shutdown',
      byGuest: false,
      reason: 'host-qmp-quit',
    });
    assert.deepEqual(news('RESET', { guest: true, reason: 'guest-reset' }), {
      kind: 'reset',
      byGuest: true,
      reason: 'guest-reset',
    });
    assert.deepEqual(news('STOP'), { kind: 'stop' });
    assert.deepEqual(news('RESUME'), { kind: 'resume' });
    assert.deepEqual(news('VSERPORT_CHANGE', { id: 'channel0', open: true }), {
      kind: 'serial-port-change',
      id: 'channel0',
      isOpen: true,
    });
    assert.deepEqual(news('DEVICE_DELETED', { device: 'net0', path: '/machine/peripheral/net0' }), {
      kind: 'device-deleted',
      device: 'net0',
      path: '/machine/peripheral/net0',
    });
    const info = { device: 'd1', slot: '0', 'slot-type': 'DIMM', source: 1, status: 0 };
    assert.deepEqual(news('ACPI_DEVICE_OST', { info }), { kind: 'dimm-status' });
  });

  it('may lack what is optional', () => {
    assert.deepEqual(news('MEMORY_DEVICE_SIZE_CHANGE', { size: 0 }), {
      kind: 'memory-device-size-change',
      id: null,
      size: 0,
      qomPath: null,
    });
    assert.deepEqual(news('SHUTDOWN'), { kind: 'shutdown', byGuest: null, reason: null });
    assert.deepEqual(news('DEVICE_DELETED', { path: '/a' }), { kind: 'device-deleted', device: null, path: '/a' });
  });

  it('may not lack the rest', () => {
    for (const actual of [undefined, -1, 2 ** 64, 0.5, '1', null])
      assert.equal(news('BALLOON_CHANGE', { actual }), null);
    for (const size of [undefined, -1, 2 ** 64, 0.5, '1'])
      assert.equal(news('MEMORY_DEVICE_SIZE_CHANGE', { size }), null);
    assert.equal(news('VSERPORT_CHANGE', { id: 'a' }), null);
    assert.equal(news('VSERPORT_CHANGE', { id: 1, open: true }), null);
    assert.equal(news('DEVICE_DELETED', { device: 'a' }), null);
    for (const data of [{}, { info: 'DIMM' }, { info: { slot: '0' } }, { info: { 'slot-type': 'CPU' } }])
      assert.equal(news('ACPI_DEVICE_OST', data), null);
  });

  it('of another name is no news', () => {
    for (const name of ['NIC_RX_FILTER_CHANGED', 'balloon_change', 'constructor', '']) assert.equal(news(name), null);
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), fc.anything(), fc.anything(), (name, one, other) => {
        news(name, { actual: one, size: one, id: other, open: one, path: other, guest: one, reason: other });
        news(name, { info: one });
        news(name, one);
      }),
    );
  });
});
