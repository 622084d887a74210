/** Protects units and rounding on the wire: what stands in xenstore is KiB of what a guest keeps. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  formatTarget,
  homeOf,
  limitsOf,
  parseDomid,
  parseKib,
  parseSize,
} from '../../../src/hypervisors/xen-host/codec.js';
import { guestSize, kib, kibToPagesDown, pages, pagesToKib } from '../../../src/units.js';
import { useSeed } from '../../support/seed.js';

useSeed();

const HOSTILE = [
  '',
  ' ',
  '-4',
  '+4',
  '0x10',
  '1e3',
  '4.0',
  '4 4',
  '4\n4',
  'NaN',
  'Infinity',
  '9223372036854775808',
  '18446744073709551615',
  '1'.repeat(4_000),
  '４',
  '4\u0000',
  'null',
  '{"toString":1}',
];

describe('a target', () => {
  it('is written as the KiB that the guest keeps, and nothing else', () => {
    assert.equal(formatTarget(guestSize(pages(65_536))), '262144');
    assert.equal(formatTarget(guestSize(pages(1))), '4');
  });

  it('has no text where it is 0 or past 2^53 KiB', () => {
    assert.equal(formatTarget(guestSize(pages(0))), null);
    assert.equal(formatTarget(guestSize(pages(2 ** 51))), null);
    assert.equal(formatTarget(guestSize(pages(2 ** 51 - 1))), '9007199254740988');
  });

  it('reads as the size that was written, for guests up to 24 TiB', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6_442_450_944 }), (count) => {
        const text = formatTarget(guestSize(pages(count))) ?? '';
        assert.deepEqual(parseSize('memory/target', text), { known: true, value: count });
        assert.deepEqual(parseKib('memory/target', text), { known: true, value: pagesToKib(pages(count)) });
      }),
    );
  });
});

describe('a size', () => {
  it('drops a part page', () => {
    for (const [text, count] of [
      ['262144', 65_536],
      ['262147', 65_536],
      ['3', 0],
      ['0', 0],
      [' 8\n', 2],
    ] as const) {
      assert.deepEqual(parseSize('memory/target', text), { known: true, value: count }, text);
    }
  });

  it('that is no number of KiB is malformed, with what was seen, shortened', () => {
    for (const text of HOSTILE) {
      const size = parseSize('memory/target', text);
      assert.ok(!size.known && size.reason === 'malformed', JSON.stringify(text.slice(0, 40)));
      assert.ok(size.detail.length < 300 && !size.detail.includes('\n'), size.detail);
    }
  });

  it('throws for no text at all', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const size = parseSize('memory/static-max', text);
        if (size.known) assert.equal(size.value, kibToPagesDown(kib(Number(text.trim()))));
      }),
    );
  });
});

describe('an administrator’s limits', () => {
  it('have the floor rounded up and the ceiling down', () => {
    assert.deepEqual(limitsOf('5', '11'), { floor: 2, ceiling: 2 });
    assert.deepEqual(limitsOf('131072', '262144'), { floor: 32_768, ceiling: 65_536 });
  });

  it('may lack one or both', () => {
    assert.deepEqual(limitsOf(null, null), { floor: 0, ceiling: null });
    assert.deepEqual(limitsOf('4096', null), { floor: 1_024, ceiling: null });
    assert.deepEqual(limitsOf(null, '4096'), { floor: 0, ceiling: 1_024 });
  });

  it('do not contradict each other: the floor holds', () => {
    assert.deepEqual(limitsOf('8192', '4096'), { floor: 2_048, ceiling: 2_048 });
    assert.deepEqual(limitsOf('6', '7'), { floor: 2, ceiling: 2 });
  });

  it('that are no numbers, or 0, are as if they were not there', () => {
    for (const text of [...HOSTILE, '0', '000']) {
      assert.deepEqual(limitsOf(text, text), { floor: 0, ceiling: null }, JSON.stringify(text.slice(0, 40)));
    }
  });
});

describe('a domain’s number', () => {
  it('is what xenstored writes and nothing else', () => {
    const found = ['0', '1', '32751', '65535', '01', '-1', '', '1 ', 'x', '100000', '1e2'].map(parseDomid);
    assert.deepEqual(found, [0, 1, 32_751, 65_535, null, null, null, null, null, null, null]);
    assert.equal(homeOf(7), '/local/domain/7');
  });
});
