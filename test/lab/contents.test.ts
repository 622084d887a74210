/** Protects the memory hog's claim that what it holds is intact: a check that sees no damage proves nothing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { contentsOf, isIntact } from '../../lab/guest/contents.js';

const PAGE = 4_096;

describe("the memory hog's contents", () => {
  it('are found intact as they were made', () => {
    for (const block of [0, 1, 77]) assert.ok(isIntact(contentsOf(16 * PAGE, block), block));
  });

  it('are found damaged by a single bit, on the first page as on the last', () => {
    for (const page of [0, 15]) {
      const memory = contentsOf(16 * PAGE, 3);
      memory.writeUInt8(memory.readUInt8(page * PAGE + 100) ^ 1, page * PAGE + 100);
      assert.ok(!isIntact(memory, 3));
    }
  });

  it('are found damaged when pages are lost or change places', () => {
    const zeroed = contentsOf(16 * PAGE, 3).fill(0, 5 * PAGE, 6 * PAGE);
    assert.ok(!isIntact(zeroed, 3));
    const swapped = contentsOf(16 * PAGE, 3);
    const page = Buffer.from(swapped.subarray(0, PAGE));
    swapped.copy(swapped, 0, PAGE, 2 * PAGE);
    page.copy(swapped, PAGE);
    assert.ok(!isIntact(swapped, 3));
  });

  it("are not another block's", () => {
    assert.ok(!isIntact(contentsOf(PAGE, 1), 2));
  });

  it('differ on every page, so that no two can share one copy', () => {
    const memory = contentsOf(64 * PAGE, 0);
    const pages = new Set(Array.from({ length: 64 }, (_, n) => memory.toString('latin1', n * PAGE, (n + 1) * PAGE)));
    assert.equal(pages.size, 64);
  });

  it('can be packed to less than a fifth, as real memory often can', () => {
    const memory = contentsOf(64 * PAGE, 0);
    assert.ok(deflateRawSync(memory).length < memory.length / 5);
  });
});
