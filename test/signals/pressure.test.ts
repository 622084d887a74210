import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mapField } from '../../src/control/signal.js';
import { parsePressure, toPressure } from '../../src/signals/pressure.js';
import { procText } from './proc-roots.js';

const some = 'some avg10=1.53 avg60=0.87 avg300=0.20 total=58761459\n';
const full = 'full avg10=1.10 avg60=0.60 avg300=0.11 total=41000123\n';

describe('/proc/pressure/memory', () => {
  it('reads both lines', () => {
    assert.deepEqual(parsePressure(procText('numa-two-nodes', 'pressure', 'memory')), {
      known: true,
      value: {
        some: { avg10Percent: 1.53, avg60Percent: 0.87, avg300Percent: 0.2, totalMicros: 58_761_459 },
        full: { avg10Percent: 1.1, avg60Percent: 0.6, avg300Percent: 0.11, totalMicros: 41_000_123 },
      },
    });
  });

  it('gives the core the 10 s averages', () => {
    const averages = mapField(parsePressure(some + full), toPressure);
    assert.deepEqual(averages, { known: true, value: { somePercent: 1.53, fullPercent: 1.1 } });
  });

  const bad: readonly (readonly [string, string, string])[] = [
    ['no line full', some, 'not-reported'],
    ['no line some', full, 'not-reported'],
    ['nothing', '', 'malformed'],
    ['a line twice', some + some + full, 'malformed'],
    ['a cut', some + full.slice(0, -1), 'malformed'],
    ['a cut in the first digits', `${some}full avg10=1.1`, 'malformed'],
    ['more than 100 %', some.replace('1.53', '100.01') + full, 'implausible'],
    ['a negative average', some.replace('1.53', '-1.53') + full, 'malformed'],
    ['no fraction', some.replace('1.53', '1') + full, 'malformed'],
    ['a total of 2^53', some.replace('58761459', '9007199254740992') + full, 'malformed'],
    ['CRLF', some.replace('\n', '\r\n') + full, 'malformed'],
    ['a word more', some.replace('\n', ' x\n') + full, 'malformed'],
    ['a long line', `some avg10=${'1'.repeat(500_000)}.00\n${full}`, 'malformed'],
  ];
  for (const [name, text, reason] of bad) {
    it(`is ${reason} with ${name}`, () => {
      const found = parsePressure(text);
      assert.equal(found.known ? 'known' : found.reason, reason);
    });
  }
});
