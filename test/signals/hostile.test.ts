/** Whatever a text holds, parsers neither throw nor give out a number that is not a count. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseCommandLine } from '../../src/signals/cmdline.js';
import { parseMeminfo } from '../../src/signals/meminfo.js';
import { parsePressure } from '../../src/signals/pressure.js';
import { parseSwaps } from '../../src/signals/swaps.js';
import { TEXT_LENGTH_MAX, parseWhole, quote } from '../../src/signals/text.js';
import { parseVmstat } from '../../src/signals/vmstat.js';
import { parseZoneinfo } from '../../src/signals/zoneinfo.js';
import { parseZramUsage } from '../../src/signals/zram.js';
import { pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';
import { KERNELS, procText } from './proc-roots.js';

useSeed();

const PARSERS: readonly ((text: string) => unknown)[] = [
  parseMeminfo,
  parseVmstat,
  (text) => parseZoneinfo(text, null),
  (text) => parseZoneinfo(text, pages(1)),
  parsePressure,
  parseSwaps,
  parseZramUsage,
  parseCommandLine,
];

/** Every number anywhere in what a parser gave: counts are whole, below 2^53, and only priorities are negative. */
function checkNumbers(value: unknown, name = ''): void {
  if (typeof value === 'number') {
    if (name.endsWith('Percent')) assert.ok(value >= 0 && value <= 100, name);
    else assert.ok(Number.isSafeInteger(value) && (value >= 0 || name === 'priority'), name);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, part] of Object.entries(value)) checkNumbers(part, key);
  }
}

function parseAll(text: string): void {
  for (const parse of PARSERS) checkNumbers(parse(text));
}

/** Pieces that mean something to one parser or another. */
const PIECE = fc.oneof(
  fc.constantFrom('\n', ' ', '\t', ':', ' kB\n', 'MemTotal:', 'MemFree:', 'SwapTotal:', 'SwapFree:', 'oom_kill '),
  fc.constantFrom('Node 0, zone Normal\n', '\nhigh ', '\npresent ', '\nmanaged ', '\nspanned ', '\nprotection: (0, '),
  fc.constantFrom('\nstart_pfn: ', ')', 'some avg10=', 'full avg10=', 'avg60=0.00 ', '0.00', '"', '--', '\0', '\r\n'),
  fc.constantFrom('Filename\tType\tSize\tUsed\tPriority\n', '9007199254740991', '9007199254740992', '-1', '0x1'),
  fc.nat().map(String),
  fc.string({ unit: 'binary' }),
);

describe('hostile texts', () => {
  const repeated = [
    '9',
    '\0',
    '\n',
    ' ',
    ':',
    '"',
    '\t',
    '\\',
    '\r\n',
    'MemTotal: 4 kB\n',
    'oom_kill 1\n',
    'Node ',
    '(',
    '0, ',
  ];
  for (const piece of [
    ...repeated,
    'Node 0, zone A\npresent 1\nstart_pfn: 1\n',
    'high 1\n',
    'a="',
    'some ',
    'x\ty\n',
  ]) {
    it(`1 MiB of ${JSON.stringify(piece)}`, () => {
      const text = piece.repeat(Math.floor(TEXT_LENGTH_MAX / piece.length));
      parseAll(text);
      parseAll(`${text.slice(0, -1)}\n`);
      parseAll(`protection: (${text}`.slice(0, TEXT_LENGTH_MAX));
      parseAll(`Filename\tType\t${text}`.slice(0, TEXT_LENGTH_MAX));
    });
  }

  it('digits without end are no number', () => {
    const total = parseMeminfo(`MemTotal: ${'9'.repeat(TEXT_LENGTH_MAX - 20)} kB\n`).total;
    assert.equal(total.known ? 'known' : total.reason, 'malformed');
    assert.ok(!total.known && total.detail.length < 200);
  });

  it('a text above the limit is not looked at', () => {
    const text = `MemTotal: 4 kB\n${' '.repeat(TEXT_LENGTH_MAX)}`;
    const { total } = parseMeminfo(text);
    assert.match(total.known ? '' : total.detail, /longer than 1048576/);
    for (const parse of [parsePressure, parseSwaps, parseZramUsage, parseCommandLine]) {
      assert.equal(parse(text).known, false);
    }
    assert.equal(parseZoneinfo(text, null).reserve.known, false);
  });

  it('garbage made of the formats’ own pieces', () => {
    fc.assert(
      fc.property(fc.array(PIECE, { maxLength: 60 }), (pieces) => {
        parseAll(pieces.join(''));
      }),
      { numRuns: 2000 },
    );
  });

  it('a real text with some characters changed', () => {
    const texts = KERNELS.flatMap((kernel) =>
      ['meminfo', 'zoneinfo', 'vmstat', 'swaps'].map((file) => procText(kernel, file)),
    );
    const change = fc.record({ at: fc.nat(16_000), length: fc.nat(40), insert: PIECE });
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.array(change, { minLength: 1, maxLength: 5 }), (text, changes) => {
        const changed = changes.reduce((now, { at, length, insert }) => {
          const from = at % (now.length + 1);
          return now.slice(0, from) + insert + now.slice(from + length);
        }, text);
        parseAll(changed);
        const { total, free, swapTotal, swapUsed } = parseMeminfo(changed);
        if (total.known && free.known) assert.ok(free.value <= total.value);
        if (swapTotal.known && swapUsed.known) assert.ok(swapUsed.value <= swapTotal.value);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the words of a refusal', () => {
  it('quotes are short and have no control characters', () => {
    assert.equal(quote('a\0b\n'), '"a\\u0000b\\n"');
    // A terminal may take U+009B for the beginning of a command, as it does ESC and a bracket.
    assert.equal(quote('\u007f\u009b2J'), '"\\u007f\\u009b2J"');
    assert.ok(quote('x'.repeat(1e6)).length < 60);
  });

  it('whole numbers are digits below 2^53, and nothing else', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (number) => {
        assert.equal(parseWhole(String(number)), number);
        assert.equal(parseWhole(`x${number}y`, 1, 1 + String(number).length), number);
      }),
    );
    for (const text of ['', ' 1', '1 ', '-0', '1e1', '１', '9007199254740992', '00000000000000001']) {
      assert.equal(parseWhole(text), null, text);
    }
  });
});
