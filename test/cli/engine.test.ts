/** Protects the engine's settings: they are known to the Node.js that runs, they take effect, and they can be taken back. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { collectWhenGathered, keepEngineSmall, letEngineGrow, letEngineOptimise } from '../../src/cli/daemon/engine.js';

const ENGINE = new URL('../../src/cli/daemon/engine.js', import.meta.url).href;

function flagsOf(call: (setFlag: (flag: string) => void) => void): readonly string[] {
  const flags: string[] = [];
  call((flag) => flags.push(flag));
  return flags;
}

const MIB = 1_048_576;

/** What a flag is about, without its value. */
const subject = (flag: string): string => flag.replace(/^--(no-)?/, '').replace(/=.*/, '');

/** What is told to an engine: a body that returns what is to be called after each round. */
const SMALL = 'engine.keepEngineSmall(); return () => undefined;';
const USUAL = 'engine.letEngineGrow(); return () => undefined;';
const HOST = 'engine.keepEngineSmall(); return engine.letEngineOptimise();';

/** A half of the space for new objects, which may be filled, and what is taken for both. */
const HALF = 'space_used_size + space_available_size';
const BOTH = 'space_size';

/**
 * How large the space for new objects is as a rule, once it has grown. Not at one moment: an engine that marks old garbage
 * meanwhile puts the collection of new objects off, and lets them pass the half (22 MiB for both halves in place of 2 were seen on Node.js 26).
 */
function usualSize(what: typeof HALF | typeof BOTH, settings: string, objectsPerRound = 1_000): number {
  const script = `
    import v8 from 'node:v8';
    import * as engine from ${JSON.stringify(ENGINE)};
    const afterRound = (() => { ${settings} })();
    let kept = [];
    const sizes = [];
    for (let at = 0; at < 4_000_000; at += 1) {
      kept.push({ at, text: 'text ' + at });
      if (kept.length > 20_000) kept = [];
      if (at % ${objectsPerRound} === 0) afterRound();
      if (at < 1_000_000 || at % 1_000 !== 0) continue;
      const space = v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
      const { space_used_size, space_available_size, space_size } = space;
      sizes.push(${what});
    }
    console.log(sizes.sort((one, other) => one - other)[Math.floor(sizes.length / 2)]);
  `;
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }));
}

describe('the engine', () => {
  it('can be let grow again in everything in which it was kept small', () => {
    const [small, usual] = [flagsOf(keepEngineSmall), flagsOf(letEngineGrow)];
    assert.ok(small.length > 0);
    assert.deepEqual(usual.map(subject), small.map(subject));
    for (const flag of small) assert.ok(!usual.includes(flag), flag);
  });

  it('of this Node.js knows every flag, and has the usual ones by default', () => {
    const options = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 });
    for (const flag of flagsOf(letEngineGrow)) {
      assert.match(options, new RegExp(`--${subject(flag)} \\([^\\n]*\\n\\s+type: \\w+\\s+default: ${flag}\\b`), flag);
    }
  });

  it('is let optimise for a host, and have more room for new objects, but not ever more', () => {
    const flags: string[] = [];
    let halfBytes = MIB;
    const afterRound = letEngineOptimise(
      (flag) => flags.push(flag),
      () => halfBytes,
    );
    assert.deepEqual(flags, ['--opt']);
    for (const size of [1, 1, 3.9, 4, 16, 2, 0]) {
      halfBytes = size * MIB;
      afterRound();
    }
    const factors = [4, 1, 2, 4].map((factor) => `--semi-space-growth-factor=${factor}`);
    assert.deepEqual(flags, ['--opt', ...factors]);
    assert.ok(flagsOf(letEngineGrow).includes('--opt'));
  });

  for (const often of [100, 1_000, 20_000])
    it(`has about twice 4 MiB for new objects on a host, looking after each ${often} objects`, () => {
      const settled = usualSize(HALF, HOST, often);
      assert.ok(settled >= 3 * MIB && settled <= 5 * MIB, `${settled} bytes`);
    });

  it('says nothing when it is kept small', () => {
    const script = `import { keepEngineSmall } from ${JSON.stringify(ENGINE)}; keepEngineSmall();`;
    const { status, stderr, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    assert.deepEqual([status, stderr, stdout], [0, '', '']);
  });

  it('keeps the room for new objects at its first size, and does not without being told', () => {
    const [small, usual] = [usualSize(BOTH, SMALL), usualSize(BOTH, USUAL)];
    assert.ok(small <= 3 * MIB && usual >= 2 * small, `${small} bytes against ${usual}`);
  });
});

/** A heap that keeps `kept` bytes at each collection; counts them. */
function fakeHeap(kept: number) {
  const heap = { used: 0, collections: 0 };
  return {
    heap,
    usedBytes: () => heap.used,
    collect: () => {
      heap.collections += 1;
      heap.used = kept;
    },
  };
}

describe('garbage', () => {
  it('of the start is collected at the first look', () => {
    const fake = fakeHeap(7 * MIB);
    fake.heap.used = 10 * MIB;
    collectWhenGathered(fake)();
    assert.equal(fake.heap.collections, 1);
  });

  it('is collected each time that 2 MiB have gathered, and not before', () => {
    const fake = fakeHeap(7 * MIB);
    fake.heap.used = 7 * MIB;
    const tidy = collectWhenGathered(fake);
    tidy();
    for (let round = 0; round < 7; round += 1) {
      fake.heap.used += MIB / 4;
      tidy();
    }
    assert.equal(fake.heap.collections, 1);
    fake.heap.used += MIB / 4;
    tidy();
    assert.equal(fake.heap.collections, 2);
  });

  it('never holds more than 2 MiB and one round, and without being collected holds it all', () => {
    const roundBytes = 11_000;
    const held = (isTidy: boolean): number => {
      const fake = fakeHeap(7 * MIB);
      fake.heap.used = 7 * MIB;
      const tidy = isTidy ? collectWhenGathered(fake) : () => undefined;
      let most = 0;
      for (let round = 0; round < 2_000; round += 1) {
        fake.heap.used += roundBytes;
        most = Math.max(most, fake.heap.used);
        tidy();
      }
      return most;
    };
    assert.ok(held(true) <= 9 * MIB + roundBytes);
    assert.ok(held(false) > 16 * MIB);
  });

  it('is not collected in vain where what is kept grows', () => {
    let used = 0;
    let collections = 0;
    const tidy = collectWhenGathered({ usedBytes: () => used, collect: () => (collections += 1) });
    for (let round = 0; round < 64; round += 1) {
      used += MIB / 16;
      tidy();
    }
    assert.equal(collections, 2);
  });

  it('of the real engine can be collected', () => {
    const script = `
      import { collectWhenGathered } from ${JSON.stringify(ENGINE)};
      import { getHeapStatistics } from 'node:v8';
      const tidy = collectWhenGathered();
      tidy();
      let made = Array.from({ length: 200_000 }, (_, at) => ({ at }));
      const before = getHeapStatistics().used_heap_size;
      made = null;
      tidy();
      console.log(before - getHeapStatistics().used_heap_size);
    `;
    const freed = Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }));
    assert.ok(freed > 4 * MIB, `${freed} bytes`);
  });
});
