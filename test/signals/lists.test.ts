/** `/proc/swaps`, zram's `mm_stat` and `/proc/cmdline`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCommandLine } from '../../src/signals/cmdline.js';
import { parseSwaps } from '../../src/signals/swaps.js';
import { parseZramUsage } from '../../src/signals/zram.js';
import { procText } from './proc-roots.js';

const reason = (found: { known: true } | { known: false; reason: string }): string =>
  found.known ? 'known' : found.reason;
const HEADING = 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n';

describe('/proc/swaps', () => {
  it('reads names with escapes, sizes in pages and negative priorities', () => {
    assert.deepEqual(parseSwaps(procText('numa-two-nodes', 'swaps')), {
      known: true,
      value: [
        { name: '/dev/dm-1', type: 'partition', size: 1_048_575, used: 97_151, priority: -2 },
        { name: '/swap files/first\\second', type: 'file', size: 1_048_576, used: 0, priority: -3 },
      ],
    });
  });

  it('reads four stripes in their order', () => {
    const found = parseSwaps(procText('xen-guest-256-mib', 'swaps'));
    const stripes = found.known ? found.value.map(({ name, used, priority }) => [name, used, priority]) : [];
    assert.deepEqual(stripes, [
      ['/dev/zram0', 0, 100],
      ['/dev/zram1', 1, 99],
      ['/dev/zram2', 2, 98],
      ['/dev/zram3', 3, 97],
    ]);
  });

  it('has no areas where there is no swap', () => {
    assert.deepEqual(parseSwaps(procText('linux-6.18', 'swaps')), { known: true, value: [] });
  });

  const bad: readonly (readonly [string, string, string])[] = [
    ['no heading', '/dev/sda2 partition\t8\t0\t-1\n', 'malformed'],
    ['nothing', '', 'malformed'],
    ['a cut', `${HEADING}/dev/sda2 partition\t8\t0\t-`, 'malformed'],
    ['a column too few', `${HEADING}/dev/sda2 partition\t8\t0\n`, 'malformed'],
    ['a column too many', `${HEADING}/dev/sda2 partition\t8\t0\t-1\t0\n`, 'malformed'],
    ['an empty line', `${HEADING}\n`, 'malformed'],
    ['an area twice', `${HEADING}/dev/sda2 partition\t8\t0\t-1\n/dev/sda2 partition\t8\t0\t-1\n`, 'malformed'],
    ['a negative size', `${HEADING}/dev/sda2 partition\t-8\t0\t-1\n`, 'malformed'],
    ['more used than there is', `${HEADING}/dev/sda2 partition\t8\t12\t-1\n`, 'implausible'],
    ['CRLF', `${HEADING}/dev/sda2 partition\t8\t0\t-1\r\n`, 'malformed'],
  ];
  for (const [name, text, expected] of bad) {
    it(`is ${expected} with ${name}`, () => {
      assert.equal(reason(parseSwaps(text)), expected);
    });
  }
});

describe("zram's mm_stat", () => {
  it('reads the columns of Linux 4.18 to 5.10 and knows that one is missing', () => {
    assert.deepEqual(parseZramUsage(procText('xen-guest-256-mib', 'mm_stat')), {
      known: true,
      value: {
        stored: 1024,
        compressed: 31, // 123457 bytes are 30.1 pages
        memoryUsed: 64,
        memoryLimit: null,
        memoryUsedMax: 128,
        samePages: 17,
        compactedPages: 3,
        incompressiblePages: { known: true, value: 5 },
        incompressiblePagesEver: { known: false, reason: 'not-reported', detail: 'mm_stat has no huge_pages_since' },
      },
    });
  });

  it('reads today’s nine columns, and a limit', () => {
    const found = parseZramUsage('8192 100 4096 65536 4096 0 0 1 2\n');
    assert.deepEqual(found.known && [found.value.memoryLimit, found.value.incompressiblePagesEver], [
      16,
      { known: true, value: 2 },
    ]);
    assert.equal(reason(parseZramUsage(procText('linux-6.18', 'mm_stat'))), 'known');
  });

  for (const text of ['', '\n', '1 2 3 4 5 6\n', '1 2 3 4 5 6 7', '1 2 3 4 5 6 -7\n', `${'1 '.repeat(40)}1\n`]) {
    it(`does not believe ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.equal(reason(parseZramUsage(text)), 'malformed');
    });
  }
});

describe('/proc/cmdline', () => {
  const words = (text: string): unknown => {
    const found = parseCommandLine(text);
    return found.known ? found.value.words : found.reason;
  };

  it('keeps a quoted value together and drops its quotes', () => {
    assert.deepEqual(words(procText('numa-two-nodes', 'cmdline')), [
      'BOOT_IMAGE=/vmlinuz-5.10',
      'root=/dev/dm-0',
      'ro',
      'dyndbg=file mm/* +p',
      'numa_balancing=enable',
      'noselfshrink',
      'quiet',
    ]);
  });

  it('leaves init’s own words to init', () => {
    const found = parseCommandLine(procText('linux-3.10', 'cmdline'));
    assert.deepEqual(found.known && found.value.initWords, ['single', 'selfballooning']);
    assert.equal(found.known && found.value.words.includes('selfballooning'), false);
  });

  const table: readonly (readonly [string, unknown])[] = [
    ['\n', []],
    ['  a \t b  \n', ['a', 'b']],
    ['"a b" c\n', ['a b', 'c']],
    ['"a=b c" d\n', ['a=b c', 'd']],
    ['a="b c\n', ['a=b c']],
    ['a="" b\n', ['a=', 'b']],
    ['a=b"c d"e f\n', ['a=b"c d"e', 'f']],
    ['', 'malformed'],
    ['selfballooning', 'malformed'],
    ['self\0ballooning\n', 'malformed'],
  ];
  for (const [text, expected] of table) {
    it(`makes ${JSON.stringify(expected)} of ${JSON.stringify(text)}`, () => {
      assert.deepEqual(words(text), expected);
    });
  }
});
