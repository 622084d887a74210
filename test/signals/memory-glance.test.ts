/** Protects the quick look at memory: that it says the same as the full parser, and believes no nonsense. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseMeminfo } from '../../src/signals/meminfo.js';
import { openMemoryGlancer, parseMemoryGlance } from '../../src/signals/memory-glance.js';
import { useSeed } from '../support/seed.js';
import { fixtureRoot, KERNELS, procText, temporaryFolder, writeRoot } from './proc-roots.js';

useSeed();

const HEAD = 'MemTotal:         153600 kB\nMemFree:           20480 kB\nMemAvailable:      40960 kB\n';

const refusal = (text: string): string => {
  const seen = parseMemoryGlance(text);
  assert.equal(seen.known, false);
  return seen.reason;
};

describe('a quick look at memory', () => {
  it('gives what is managed and what is available, in pages', () => {
    assert.deepEqual(parseMemoryGlance(HEAD), { known: true, value: { total: 38_400, available: 10_240 } });
  });

  for (const kernel of KERNELS) {
    it(`says of ${kernel} what the full parser says`, () => {
      const text = procText(kernel, 'meminfo');
      const { total, available } = parseMeminfo(text);
      const seen = parseMemoryGlance(text);
      if (total.known && available.known) {
        assert.deepEqual(seen, { known: true, value: { total: total.value, available: available.value } });
      } else {
        assert.equal(seen.known, false);
      }
    });
  }

  it('agrees with the full parser wherever the numbers are whole', () => {
    const kb = fc.integer({ min: 0, max: 2 ** 40 });
    fc.assert(
      fc.property(kb, kb, kb, (total, free, available) => {
        const text = `MemTotal: ${total} kB\nMemFree: ${free} kB\nMemAvailable: ${available} kB\nBuffers: 0 kB\n`;
        const whole = parseMeminfo(text);
        const seen = parseMemoryGlance(text);
        const isBelieved = whole.available.known && total >= 4;
        // The full parser distrusts the total for a MemFree that is too large as well; nobody asks for MemFree here.
        if (free <= total) assert.equal(seen.known, isBelieved);
      }),
    );
  });

  it('says which part of a strange file it does not believe', () => {
    const rows: readonly (readonly [string, string])[] = [
      ['', 'malformed'],
      ['\n\n\n', 'not-reported'],
      ['MemTotal: 100 kB\n', 'not-reported'],
      ['MemAvailable: 100 kB\n', 'not-reported'],
      ['MemTotal: 0 kB\nMemAvailable: 0 kB\n', 'implausible'],
      ['MemTotal: 100 kB\nMemAvailable: 104 kB\n', 'implausible'],
      ['MemTotal: 100 kB\nMemAvailable: -4 kB\n', 'malformed'],
      ['MemTotal: 100 kB\nMemAvailable: 1e2 kB\n', 'malformed'],
      ['MemTotal: 100 kB\nMemAvailable: 40', 'malformed'],
      ['MemTotal: 100 kB\nMemAvailable: 40 MB\n', 'malformed'],
      ['MemTotal: 100 kB\nMemTotal: 200 kB\nMemAvailable: 40 kB\n', 'malformed'],
      ['MemTotal: 99999999999999999999 kB\nMemAvailable: 40 kB\n', 'malformed'],
      ['MemTotal: 100 kB\nMemAvailable:', 'malformed'],
      ['\u0000'.repeat(100), 'malformed'],
    ];
    assert.deepEqual(
      rows.map(([text]) => [text, refusal(text)]),
      rows,
    );
  });

  it('never throws, whatever the file holds', () => {
    const piece = fc.constantFrom('MemTotal', 'MemAvailable', ':', ' ', '\n', ' kB', '9', '-', '\u0000', '\ufffd');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (parts) => {
        const seen = parseMemoryGlance(parts.join(''));
        if (seen.known) assert.ok(seen.value.available <= seen.value.total && seen.value.total > 0);
      }),
    );
  });

  it('reads the file again each time, and knows nothing after it was closed', (test) => {
    const glancer = openMemoryGlancer(writeRoot(test, { 'proc/meminfo': HEAD }));
    assert.equal(glancer.read().known, true);
    assert.equal(glancer.read().known, true);
    glancer.close();
    assert.equal(glancer.read().known, false);
  });

  it('says so where there is no such file', (test) => {
    const glancer = openMemoryGlancer(temporaryFolder(test));
    const seen = glancer.read();
    assert.equal(!seen.known && seen.reason, 'not-reported');
    glancer.close();
  });

  it('sees the numbers of the machine that it runs on', (test) => {
    for (const root of ['/', fixtureRoot(test, 'xen-guest-256-mib')]) {
      const glancer = openMemoryGlancer(root);
      assert.equal(glancer.read().known, true);
      glancer.close();
    }
  });
});
