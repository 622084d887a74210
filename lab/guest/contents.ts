/** Contents for memory that can be checked later: every page differs from every other, and a swap device can pack them well. */

const PAGE_BYTES = 4_096;
/** Of a page's 1,024 words: enough to be worth checking, and quick to make under emulation. */
const WORDS_PER_PAGE = 64;

/** The next number of a xorshift generator, from 1 to 2^32 − 1. */
function next(word: number): number {
  const a = word ^ (word << 13);
  const b = a ^ (a >>> 17);
  return (b ^ (b << 5)) >>> 0;
}

const seedOf = (block: number, page: number): number => ((block + 1) * 0x9e3779b1 + page * 0x85ebca6b) >>> 0 || 1;

/** A block of `bytes` (whole pages), touched from end to end. `block` numbers it. Throws when there is no memory for it. */
export function contentsOf(bytes: number, block: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(bytes);
  for (let page = 0; page * PAGE_BYTES < bytes; page += 1) {
    let word = seedOf(block, page);
    for (let n = 0; n < WORDS_PER_PAGE; n += 1) {
      memory.writeUInt32LE(word, page * PAGE_BYTES + n * 4);
      word = next(word);
    }
  }
  return memory;
}

/** Whether a block is still what `contentsOf` made. */
export function isIntact(memory: Buffer, block: number): boolean {
  for (let page = 0; page * PAGE_BYTES < memory.length; page += 1) {
    let word = seedOf(block, page);
    for (let n = 0; n < WORDS_PER_PAGE; n += 1) {
      if (memory.readUInt32LE(page * PAGE_BYTES + n * 4) !== word) return false;
      word = next(word);
    }
  }
  return true;
}
