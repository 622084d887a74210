/** Contents for memory that can be checked later: every page differs from every other, and a swap device can pack them well. */

const PAGE_BYTES = 4_096;
const WORD_BYTES = 4;
/** Of a page's 1,024 words those that are not zero: as much as a packer is left with of most programs' memory. */
const WORDS_PER_PAGE = 64;

/** The next number of a xorshift generator, from 1 to 2^32 − 1. */
function next(word: number): number {
  const a = word ^ (word << 13);
  const b = a ^ (a >>> 17);
  return (b ^ (b << 5)) >>> 0;
}

/** What all pages have in common; copying it is quick under emulation, where making it for each page would take a second for ten MiB. */
const COMMON = commonPage();

function commonPage(): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  for (let n = 0, word = 1; n < WORDS_PER_PAGE; n += 1, word = next(word)) page.writeUInt32LE(word, n * WORD_BYTES);
  return page;
}

/** A page's own mark, in its first word and its last: half a page is not taken for a whole one. */
const markOf = (block: number, page: number): number =>
  (Math.imul(block + 1, 0x9e3779b1) + Math.imul(page + 1, 0x85ebca6b)) >>> 0;
const LAST_WORD = PAGE_BYTES - WORD_BYTES;

/** A block of `bytes` (whole pages), touched from end to end. `block` numbers it. Throws when there is no memory for it. */
export function contentsOf(bytes: number, block: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(bytes);
  for (let at = 0; at < bytes; at += PAGE_BYTES) {
    const mark = markOf(block, at / PAGE_BYTES);
    COMMON.copy(memory, at);
    memory.writeUInt32LE(mark, at);
    memory.writeUInt32LE(mark, at + LAST_WORD);
  }
  return memory;
}

/** Whether a block is still what `contentsOf` made, every byte of it. */
export function isIntact(memory: Buffer, block: number): boolean {
  for (let at = 0; at < memory.length; at += PAGE_BYTES) {
    const mark = markOf(block, at / PAGE_BYTES);
    if (memory.readUInt32LE(at) !== mark || memory.readUInt32LE(at + LAST_WORD) !== mark) return false;
    if (COMMON.compare(memory, at + WORD_BYTES, at + LAST_WORD, WORD_BYTES, LAST_WORD) !== 0) return false;
  }
  return true;
}
