/** Protects the borders between units: how each conversion rounds, and that no number that is none becomes a quantity. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  addMillis,
  bytes,
  bytesToPagesDown,
  bytesToPagesUp,
  kib,
  kibToPagesDown,
  kibToPagesUp,
  mib,
  mibToPages,
  millis,
  pages,
  pagesToBytes,
  pagesToKib,
  pagesToMibDown,
  secondsToMillis,
  subtractPages,
  UnitError,
} from '../src/units.js';

const MOST = Number.MAX_SAFE_INTEGER;

describe('a quantity of memory', () => {
  it('is a whole number, 0 or more, below 2^53', () => {
    for (const brand of [pages, kib, mib, bytes]) {
      for (const value of [-1, 0.5, NaN, Infinity, MOST + 1]) assert.throws(() => brand(value), UnitError, `${value}`);
      for (const value of [0, 1, MOST]) assert.equal(brand(value), value);
    }
  });

  it('in another unit is that much memory', () => {
    assert.equal(mibToPages(mib(3)), 768);
    assert.equal(pagesToKib(pages(3)), 12);
    assert.equal(pagesToBytes(pages(3)), 12_288);
  });

  it('that does not fill a page or a MiB is rounded as the name says', () => {
    assert.deepEqual([kibToPagesDown(kib(7)), kibToPagesUp(kib(7)), kibToPagesUp(kib(8))], [1, 2, 2]);
    assert.deepEqual([bytesToPagesDown(bytes(4097)), bytesToPagesUp(bytes(4097)), bytesToPagesUp(bytes(0))], [1, 2, 0]);
    assert.deepEqual([pagesToMibDown(pages(255)), pagesToMibDown(pages(256))], [0, 1]);
  });

  it('that the other unit cannot count is refused, and the one below is not', () => {
    assert.throws(() => mibToPages(mib(2 ** 45)), UnitError);
    assert.throws(() => pagesToKib(pages(2 ** 51)), UnitError);
    assert.throws(() => pagesToBytes(pages(2 ** 41)), UnitError);
    assert.equal(mibToPages(mib(2 ** 45 - 1)), 2 ** 53 - 256);
    assert.equal(pagesToKib(pages(2 ** 51 - 1)), 2 ** 53 - 4);
    assert.equal(pagesToBytes(pages(2 ** 41 - 1)), 2 ** 53 - 4096);
  });

  it('of the largest size is rounded without a word', () => {
    for (const convert of [kibToPagesDown, kibToPagesUp]) assert.ok(convert(kib(MOST)) > 0);
    for (const convert of [bytesToPagesDown, bytesToPagesUp]) assert.ok(convert(bytes(MOST)) > 0);
    assert.ok(pagesToMibDown(pages(MOST)) > 0);
  });

  it('less a larger one is refused', () => {
    assert.equal(subtractPages(pages(3), pages(3)), 0);
    assert.throws(() => subtractPages(pages(3), pages(4)), UnitError);
  });
});

describe('a time', () => {
  it('may be a fraction, and must be finite', () => {
    assert.equal(secondsToMillis(1.5), 1_500);
    assert.equal(addMillis(millis(0.5), millis(1)), 1.5);
    for (const value of [NaN, Infinity, -Infinity]) {
      assert.throws(() => millis(value), UnitError);
      assert.throws(() => secondsToMillis(value), UnitError);
    }
    assert.throws(() => addMillis(millis(Number.MAX_VALUE), millis(Number.MAX_VALUE)), UnitError);
  });
});
