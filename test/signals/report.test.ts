/** Protects the report: what a guest says arrives as it was said, and whatever a hostile one writes is bounded and checked. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NOTHING_KNOWN, type Signals } from '../../src/control/reading.js';
import { knownAt, unknown } from '../../src/control/signal.js';
import { formatReport, parseReport, REPORT_LENGTH_MAX, type Report } from '../../src/signals/report.js';
import { millis, pages } from '../../src/units.js';
import { useSeed } from '../support/seed.js';

useSeed();

const AT = millis(1_000);
const SIZES = [
  'current',
  'total',
  'free',
  'available',
  'cached',
  'committed',
  'reserve',
  'swapTotal',
  'swapUsed',
  'maxPfn',
] as const;

function parsed(text: string): Report {
  const report = parseReport(text);
  assert.ok(report.known, report.known ? '' : report.detail);
  return report.value;
}

const refusal = (text: string): string => {
  const report = parseReport(text);
  return report.known ? 'believed' : `${report.reason}: ${report.detail}`;
};

describe('a report', () => {
  it('says in KiB what the signals say in pages, and leaves out what is not known', () => {
    const signals: Signals = {
      ...NOTHING_KNOWN,
      total: knownAt(pages(1_000), AT),
      maxPfn: knownAt(pages(4_096), AT),
      oomKills: knownAt(2, AT),
      pressure: knownAt({ somePercent: 1.5, fullPercent: 0 }, AT),
      free: unknown('unreadable', 'no permission'),
    };
    assert.deepEqual(JSON.parse(formatReport({ signals, beat: 7, alarm: { count: 3, cause: 'stalled' } })), {
      v: 1,
      beat: 7,
      alarms: 3,
      alarm: 'stalled',
      total: 4_000,
      oomKills: 2,
      maxPfn: 4_096,
      some: 1.5,
      full: 0,
    });
  });

  it('is read as it was written, whatever is in it', () => {
    const count = fc.option(fc.integer({ min: 0, max: 2 ** 38 }), { nil: null });
    fc.assert(
      fc.property(fc.record(Object.fromEntries(SIZES.map((name) => [name, count]))), fc.nat(), (counts, beat) => {
        const signals = Object.fromEntries(
          Object.entries(counts).map(([name, value]) => [
            name,
            value === null ? unknown('stale', 'old') : knownAt(pages(value), AT),
          ]),
        );
        const report = parsed(formatReport({ signals: { ...NOTHING_KNOWN, ...signals }, beat, alarm: null }));
        assert.equal(report.beat, beat);
        for (const name of SIZES) {
          const field = report.fields[name];
          assert.equal(field.known ? field.value : null, counts[name] ?? null, name);
        }
      }),
    );
  });

  it('of ours is far shorter than what is looked at', () => {
    const all = Object.fromEntries(SIZES.map((name) => [name, knownAt(pages(2 ** 38), AT)]));
    const signals = { ...NOTHING_KNOWN, ...all, pressure: knownAt({ somePercent: 99.99, fullPercent: 99.99 }, AT) };
    const text = formatReport({ signals, beat: 2 ** 40, alarm: { count: 2 ** 40, cause: 'stalled' } });
    assert.ok(text.length < REPORT_LENGTH_MAX / 2, `${text.length}`);
  });
});

describe('a hostile report', () => {
  const whole: readonly (readonly [string, string, RegExp])[] = [
    ['nothing', '', /malformed.*not an object/],
    ['garbage', '\u0000\uffff{{{', /not an object/],
    ['a list', '[1]', /not an object/],
    ['a number', '7', /not an object/],
    ['null', 'null', /not an object/],
    ['another version', '{"v":2,"beat":1}', /its version is "2"/],
    ['no version', '{"beat":1}', /its version is "nothing"/],
    ['a version that is an object', '{"v":{"toString":1,"valueOf":2},"beat":1}', /its version is/],
    ['no beat', '{"v":1}', /has no beat/],
    ['too much', `{"v":1,"beat":1,"x":"${'x'.repeat(REPORT_LENGTH_MAX)}"}`, /longer than/],
  ];
  for (const [what, text, why] of whole) {
    it(`is refused as a whole: ${what}`, () => {
      assert.match(refusal(text), why);
    });
  }

  const values = [
    '-1',
    '1e300',
    '0.5',
    '"12"',
    'true',
    '{}',
    '[]',
    'null',
    '9007199254740993',
    '-0.1',
    '{"toString":1}',
  ];
  for (const value of values) {
    it(`has ${value} for a size, which is not believed, and the rest is`, () => {
      const { fields } = parsed(`{"v":1,"beat":1,"committed":${value},"total":8}`);
      assert.equal(fields.committed.known, false);
      assert.ok(fields.total.known && fields.total.value === 2);
    });
  }

  it('has pressure that is no share of time, which is not believed', () => {
    for (const text of ['"some":101,"full":0', '"some":-1,"full":0', '"some":"x","full":0', '"some":1']) {
      assert.equal(parsed(`{"v":1,"beat":1,${text}}`).fields.pressure.known, false);
    }
  });

  it('names causes that there are not, and then has no alarm', () => {
    assert.equal(parsed('{"v":1,"beat":1,"alarms":1,"alarm":"fire"}').alarm, null);
    assert.equal(parsed('{"v":1,"beat":1,"alarms":-1,"alarm":"low"}').alarm, null);
    assert.deepEqual(parsed('{"v":1,"beat":1,"alarms":1,"alarm":"low"}').alarm, { count: 1, cause: 'low' });
  });

  it('reaches nothing of ours by names that every object has', () => {
    const { fields } = parsed('{"v":1,"beat":1,"__proto__":{"total":4},"constructor":1}');
    assert.equal(fields.total.known, false);
  });

  it('never throws, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.string({ unit: 'binary', maxLength: 3_000 })), (text) => {
        const report = parseReport(text);
        assert.equal(typeof report.known, 'boolean');
      }),
    );
  });
});
