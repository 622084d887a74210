/** Protects the tunables' text rules, the administrator's right, and where ours differs from the old driver on purpose. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  DEFAULT_TUNABLES,
  findTunable,
  formatTunable,
  TUNABLES,
  writeTunable,
  type TunableWriteResult,
} from '../../src/control/tunables.js';
import { useSeed } from '../support/seed.js';

useSeed();

const write = (
  name: string,
  text: string,
  changes: { mayChange?: boolean; hasFrontswap?: boolean } = {},
): TunableWriteResult =>
  writeTunable(DEFAULT_TUNABLES, { name, text, mayChange: true, hasFrontswap: true, ...changes });

describe('a write', () => {
  const accepted: readonly (readonly [string, number])[] = [
    ['7', 7],
    ['7\n', 7],
    ['+7', 7],
    ['007', 7],
    ['4294967295', 4_294_967_295],
  ];
  for (const [text, value] of accepted) {
    it(`takes ${JSON.stringify(text)}`, () => {
      const written = write('selfballoon_interval', text);
      assert.equal(written.result === 'ok' && written.tunables.selfballoon_interval, value);
    });
  }

  for (const text of [
    '',
    '\n',
    '7\n\n',
    ' 7',
    '7 ',
    '-7',
    '0x7',
    '7e0',
    '7.0',
    'seven',
    '0',
    '٧',
    '7\r\n',
    '++7',
    'auto',
  ]) {
    it(`refuses ${JSON.stringify(text)} with EINVAL and says what it takes`, () => {
      const written = write('selfballoon_interval', text);
      assert.equal(written.result, 'EINVAL');
      assert.match(written.why, /^selfballoon_interval takes a whole number from 1 to 4294967295, not "/);
    });
  }

  it('checks the right before the text', () => {
    assert.equal(write('selfballoon_interval', 'nonsense', { mayChange: false }).result, 'EPERM');
  });

  it('knows no frontswap tunable where there is no frontswap', () => {
    assert.equal(write('frontswap_inertia', '5', { hasFrontswap: false }).result, 'ENOENT');
    assert.equal(write('selfballoon_interval', '5', { hasFrontswap: false }).result, 'ok');
  });

  it('differs on purpose: refuses what the old driver cut to 32 bits', () => {
    assert.equal(write('selfballoon_interval', '4294967296').result, 'EINVAL');
    assert.equal(write('selfballoon_downhysteresis', '4294967297').result, 'EINVAL');
  });

  it('differs on purpose: reads a large value back as written', () => {
    const written = write('frontswap_hysteresis', '4294967295');
    assert.equal(written.result === 'ok' && formatTunable(written.tunables, 'frontswap_hysteresis'), '4294967295');
  });

  it('takes auto for the reserved room, and 0 to have none', () => {
    for (const text of ['auto', 'auto\n', '0', '100'])
      assert.equal(write('selfballoon_reserved_mb', text).result, 'ok');
  });
});

describe('any text to any tunable', () => {
  const name = fc.constantFrom(...TUNABLES.map((row) => row.name));
  const text = fc.oneof(
    fc.string(),
    fc.integer().map(String),
    fc.bigInt().map(String),
    fc.string().map((s) => `1${s}`),
  );

  it('is taken with a value in range, or refused without any change', () => {
    fc.assert(
      fc.property(name, text, (to, given) => {
        const written = write(to, given);
        if (written.result !== 'ok') return;
        const row = findTunable(to);
        const value = written.tunables[to];
        assert.ok(row !== null && (value === 'auto' || (value >= row.min && value <= row.max)));
        assert.deepEqual({ ...written.tunables, [to]: DEFAULT_TUNABLES[to] }, DEFAULT_TUNABLES);
      }),
    );
  });
});

describe('the table', () => {
  it('names every tunable once, with the defaults that the program starts with', () => {
    assert.deepEqual(Object.fromEntries(TUNABLES.map((row) => [row.name, row.default])), { ...DEFAULT_TUNABLES });
  });
});
