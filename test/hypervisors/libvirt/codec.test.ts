/** Protects the border to libvirt: a target's unit and polarity to the letter, and readings from absurd numbers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NOTHING_SAID } from '../../../src/inside/index.js';
import fc from 'fast-check';
import {
  baseIn,
  formatTarget,
  readingOf,
  setPeriodWords,
  setTargetWords,
} from '../../../src/hypervisors/libvirt/codec.js';
import { guestSize, millis, pages } from '../../../src/units.js';
import { commandLine, parseDomainStats, parseDomainXml } from '../../../src/virsh/index.js';
import { HeldBefore } from '../../../src/signals/held-before.js';
import { useSeed } from '../../support/seed.js';

useSeed();

const UUID = '696ad774-9f42-4362-aca9-8e9560a8c742';
const TIMES = { at: millis(50_000), wall: millis(1_800_000_050_000) };

describe('a target on the wire', () => {
  it('is in KiB, and neither nothing nor more than a number can be', () => {
    assert.equal(formatTarget(guestSize(pages(1))), '4');
    assert.equal(formatTarget(guestSize(pages(179_200))), '716800');
    assert.equal(formatTarget(guestSize(pages(0))), null);
    assert.equal(formatTarget(guestSize(pages(2 ** 51))), null);
    assert.equal(formatTarget(guestSize(pages(2 ** 51 - 1))), String(2 ** 53 - 4));
  });

  it('is asked for at once and of the running domain alone', () => {
    assert.equal(commandLine(setTargetWords(UUID, '716800')), `setmem ${UUID} 716800 --live`);
    assert.equal(commandLine(setPeriodWords(UUID, 0)), `dommemstat ${UUID} --period 0 --live`);
  });
});

describe('what a domain has under an empty balloon', () => {
  const baseKib = (models: readonly string[]): number | null => {
    const stats = parseDomainStats(["Domain: 'x'", '  balloon.current=65536', '  balloon.maximum=196608']).get('x');
    const device = (model: string): string =>
      `<memory model='${model}'><target><size unit='KiB'>65536</size><label><size unit='KiB'>128</size></label></target></memory>`;
    const devices = `<devices>${models.map(device).join('')}<memballoon model='virtio'/></devices>`;
    const shape = parseDomainXml([`<domain><name>x</name><uuid>${UUID}</uuid>${devices}</domain>`]);
    assert.ok(stats !== undefined);
    const base = baseIn(stats, shape);
    return base === null ? null : base * 4;
  };

  it('is boot memory and DIMMs, as QEMU counts them, and no other device', () => {
    assert.equal(baseKib([]), 196_608);
    assert.equal(baseKib(['dimm']), 196_608);
    for (const model of ['nvdimm', 'virtio-pmem', 'virtio-mem', 'sgx-epc']) assert.equal(baseKib([model]), 131_072);
    assert.equal(baseKib(['nvdimm', 'dimm', 'virtio-pmem']), 65_536);
  });
});

describe('whatever libvirt and a guest say', () => {
  it('becomes page counts of a time that is not to come, or is not known', () => {
    const size = fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 64n }), fc.constant('x')).map(String);
    const keys = ['current', 'maximum', 'available', 'usable', 'unused', 'disk_caches', 'major_fault', 'last-update'];
    const mem = fc.nat().map((n) => `<memory model='virtio-mem'><target><current>${n}</current></target></memory>`);
    const balloon = fc.constantFrom("model='none'", "model='virtio'", "model='virtio' autodeflate='on'");
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...keys), size)), mem, balloon, (fields, device, model) => {
        const lines = fields.map(([key, value]) => `  balloon.${key}=${value}`);
        const stats = parseDomainStats(["Domain: 'x'", ...lines]).get('x');
        const devices = `<devices>${device}<memballoon ${model}/></devices>`;
        const shape = parseDomainXml([`<domain><name>x</name><uuid>${UUID}</uuid>${devices}</domain>`]);
        assert.ok(stats !== undefined);
        const reading = readingOf({ stats, shape, asked: null, inside: NOTHING_SAID, before: new HeldBefore() }, TIMES);
        const { current, maximum, total, available, free, cached, used } = reading;
        for (const signal of [current, maximum, total, available, free, cached, used]) {
          if (!signal.known) continue;
          assert.ok(Number.isSafeInteger(signal.value) && signal.value >= 0);
          assert.ok(signal.at <= TIMES.at);
        }
      }),
    );
  });
});
