import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Field, UnknownReason } from '../../src/control/signal.js';
import { parseMeminfo, type Meminfo } from '../../src/signals/meminfo.js';
import { useSeed } from '../support/seed.js';
import { procText } from './proc-roots.js';

useSeed();

type Values = Readonly<Record<keyof Meminfo, number | UnknownReason>>;
const shown = (field: Field<number>): number | UnknownReason => (field.known ? field.value : field.reason);

function values(text: string): Values {
  const found = parseMeminfo(text);
  return {
    total: shown(found.total),
    free: shown(found.free),
    available: shown(found.available),
    buffers: shown(found.buffers),
    cached: shown(found.cached),
    shared: shown(found.shared),
    swapTotal: shown(found.swapTotal),
    swapFree: shown(found.swapFree),
    swapUsed: shown(found.swapUsed),
    swapCached: shown(found.swapCached),
    committed: shown(found.committed),
  };
}

const line = (name: string, kib: number | string): string => `${`${name}:`.padEnd(16)}${String(kib).padStart(8)} kB\n`;

describe('/proc/meminfo', () => {
  it('reads a Xen guest of 256 MiB', () => {
    assert.deepEqual(values(procText('xen-guest-256-mib', 'meminfo')), {
      total: 233600 / 4,
      free: 90112 / 4,
      available: 120000 / 4,
      buffers: 512,
      cached: 12000,
      shared: 128,
      swapTotal: 131068 / 4,
      swapFree: 131068 / 4,
      swapUsed: 0,
      swapCached: 0,
      committed: 15105, // 60417 KiB is a quarter page more than 15104 pages
    });
  });

  it('reads a machine of 24 TiB, whose page counts pass 2^31', () => {
    const { total, free, committed } = values(procText('big-24-tib', 'meminfo'));
    assert.deepEqual({ total, free, committed }, { total: 6_340_992_912, free: 5e9, committed: 6.25e9 });
  });

  it('knows no MemAvailable on an old kernel, and does not call it 0', () => {
    const { available, free } = values(procText('linux-3.10', 'meminfo'));
    assert.deepEqual({ available, free }, { available: 'not-reported', free: 450_000 });
  });

  it('subtracts what is free of the swap', () => {
    const { swapTotal, swapUsed } = values(procText('numa-two-nodes', 'meminfo'));
    assert.deepEqual({ swapTotal, swapUsed }, { swapTotal: 2_097_151, swapUsed: 97_151 });
  });

  const bad: readonly (readonly [string, string])[] = [
    ['hexadecimal', '0x10'],
    ['negative', '-4'],
    ['with a plus', '+4'],
    ['a fraction', '4.0'],
    ['with an exponent', '4e3'],
    ['2^53', '9007199254740992'],
    ['2^64 − 1', '18446744073709551615'],
    ['no number', ''],
    ['two numbers', '4 8'],
    ['a NUL byte', '4\0'],
    ['other digits', '٤'],
  ];
  for (const [name, text] of bad) {
    it(`does not believe a number that is ${name}`, () => {
      const { total, free } = values(line('MemTotal', text) + line('MemFree', 4));
      assert.deepEqual({ total, free }, { total: 'malformed', free: 1 });
    });
  }

  it('does not believe other units, CRLF, a missing blank or a name with blanks', () => {
    assert.equal(values('MemTotal:  400 MB\n').total, 'malformed');
    assert.equal(values('MemTotal:  400\n').total, 'malformed');
    assert.equal(values('MemTotal:  400 kB\r\n').total, 'malformed');
    assert.equal(values('MemTotal:  400kB\n').total, 'malformed');
    assert.equal(values(' MemTotal:  400 kB\n').total, 'not-reported');
    assert.equal(values('xMemTotal:  400 kB\n').total, 'not-reported');
  });

  it('does not believe a field that is there twice, even with one value', () => {
    const { total, free } = values(line('MemTotal', 400) + line('MemFree', 4) + line('MemTotal', 400));
    assert.deepEqual({ total, free }, { total: 'malformed', free: 1 });
  });

  it('calls a part larger than the whole implausible, and the whole with it', () => {
    const { total, free, cached } = values(line('MemTotal', 400) + line('MemFree', 404) + line('Cached', 8));
    assert.deepEqual({ total, free, cached }, { total: 'implausible', free: 'implausible', cached: 2 });
    const swap = values(line('SwapTotal', 4) + line('SwapFree', 8));
    assert.deepEqual([swap.swapTotal, swap.swapFree, swap.swapUsed], Array(3).fill('implausible'));
    assert.equal(values(line('MemTotal', 0)).total, 'implausible');
    assert.equal(values(line('MemTotal', 400) + line('Committed_AS', 800)).committed, 200);
  });

  it('says malformed, not not-reported, of what may have been cut off', () => {
    assert.equal(values('').total, 'malformed');
    const { total, free } = values(`${line('MemTotal', 400)}MemFr`);
    assert.deepEqual({ total, free }, { total: 100, free: 'malformed' });
    assert.equal(values(line('MemTotal', 400).slice(0, -1)).total, 'malformed');
  });

  it('names the file and quotes what it saw', () => {
    const { total } = parseMeminfo('MemTotal:   12x kB\n');
    assert.match(total.known ? '' : total.detail, /\/proc\/meminfo.*12x/);
  });

  it('reads back whatever a kernel could print', () => {
    const size = fc.nat(2 ** 31).map((pages) => pages * 4);
    fc.assert(
      fc.property(size, size, size, fc.array(fc.stringMatching(/^[A-Z][a-z]{0,9}$/)), (a, b, committed, others) => {
        const [free, total] = a < b ? [a, b + 4] : [b, a + 4];
        const noise = others.map((name) => line(`Other${name}`, 7)).join('');
        const text = line('MemTotal', total) + noise + line('MemFree', free) + line('Committed_AS', committed);
        const found = values(text);
        assert.deepEqual([found.total, found.free, found.committed], [total / 4, free / 4, committed / 4]);
      }),
    );
  });
});
