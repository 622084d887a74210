/** Protects hosts from counting on memory that an emulator keeps: by the lines that the kernel has of its process. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { EmulatorMemory } from '../../src/signals/emulator-memory.js';
import { decodeProcessMemory, keptOf, type KeptMemory } from '../../src/signals/kept-memory.js';
import { millis, pages } from '../../src/units.js';
import { temporaryFolder } from '../server/fakes.js';

/** As Linux 6.1 has them, in KiB; of a guest of 512 MiB. */
const linesOf = ({ locked = 0, pinned = 0, resident = 160_052, huge = 0 }): string =>
  [
    ...['Name:\tqemu-system-x86', 'VmPeak:\t 2021424 kB', 'VmSize:\t 2021424 kB'],
    ...[`VmLck:\t ${locked} kB`, `VmPin:\t       ${pinned} kB`, 'VmHWM:\t  170000 kB', `VmRSS:\t  ${resident} kB`],
    ...['RssAnon:\t   99 kB', 'VmSwap:\t       0 kB', `HugetlbPages:\t  ${huge} kB`, 'CoreDumping:\t0', ''],
  ].join('\n');

const BASE = pages(131_072);

function keptBy(given: Parameters<typeof linesOf>[0], base: typeof BASE | null = BASE): KeptMemory | null {
  const memory = decodeProcessMemory(linesOf(given));
  assert.ok(memory !== null);
  return keptOf(memory, base);
}

describe('the memory of a process', () => {
  it('is its resident set, in which huge pages are not, and those', () => {
    assert.equal(decodeProcessMemory(linesOf({ huge: 495_616 }))?.resident, (160_052 + 495_616) / 4);
    assert.equal(decodeProcessMemory(linesOf({}))?.resident, 160_052 / 4);
  });

  it('is known of a kernel that says less', () => {
    assert.deepEqual(decodeProcessMemory('VmRSS:\t 400 kB\n'), { resident: 100, hugePages: 0, locked: 0, pinned: 0 });
    assert.equal(decodeProcessMemory('HugetlbPages:\t 2048 kB\n'), null);
  });
});

describe('memory that stays with its emulator', () => {
  it('is of huge pages, however few it has taken yet', () => {
    assert.deepEqual(keptBy({ huge: 2_048 }), { cause: 'huge-pages', size: 512 });
    assert.equal(keptBy({ huge: 2_048 }, null)?.cause, 'huge-pages', 'whatever the guest was started with');
  });

  it('is locked or pinned, from half of what the guest was started with on', () => {
    assert.equal(keptBy({ locked: 262_140, pinned: 262_140 }), null);
    assert.deepEqual(keptBy({ locked: 262_144 }), { cause: 'locked', size: 65_536 });
    assert.deepEqual(keptBy({ pinned: 524_288 }), { cause: 'pinned', size: 131_072 });
    assert.equal(keptBy({ locked: 524_288 }, null), null, 'nobody knows how much that would be');
    assert.equal(keptBy({}, pages(0)), null);
  });

  it('is noticed two seconds after it begins, with the same look at the file', (test) => {
    const root = temporaryFolder(test);
    mkdirSync(join(root, 'proc', '77'), { recursive: true });
    const write = (text: string): void => {
      writeFileSync(join(root, 'proc', '77', 'status'), text);
    };
    write(linesOf({}));
    let now = 0;
    const memory = new EmulatorMemory({ root, pid: 77, now: () => millis(now) });
    test.after(() => {
      memory.close();
    });
    assert.equal(memory.kept(BASE), null);
    write(linesOf({ huge: 8_192 }));
    now = 1_999;
    assert.equal(memory.kept(BASE), null);
    now = 2_000;
    assert.equal(memory.kept(BASE)?.cause, 'huge-pages');
    write(linesOf({}));
    assert.equal(memory.resident(), (160_052 + 8_192) / 4, 'it was not read again');
  });

  it('is not that of a program that only passes a monitor’s words on', (test) => {
    const root = temporaryFolder(test);
    mkdirSync(join(root, 'proc', '77'), { recursive: true });
    writeFileSync(join(root, 'proc', '77', 'status'), linesOf({ huge: 8_192 }).replace('qemu-system-x86', 'socat'));
    const memory = new EmulatorMemory({ root, pid: 77, now: () => millis(0) });
    assert.equal(memory.kept(BASE), null);
    memory.close();
  });
});
