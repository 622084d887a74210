/** Protects the engine's settings: they are known to the Node.js that runs, they take effect, and they can be taken back. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { keepEngineSmall, letEngineGrow } from '../../src/cli/daemon/engine.js';

const ENGINE = new URL('../../src/cli/daemon/engine.js', import.meta.url).href;

function flagsOf(call: (setFlag: (flag: string) => void) => void): readonly string[] {
  const flags: string[] = [];
  call((flag) => flags.push(flag));
  return flags;
}

/** What a flag is about, without its value. */
const subject = (flag: string): string => flag.replace(/^--(no-)?/, '').replace(/=.*/, '');

/** How much room for new objects a process has taken after it has made and kept some megabytes of them. */
function newSpaceAfterGrowth(setting: 'keepEngineSmall' | 'letEngineGrow'): number {
  const script = `
    import v8 from 'node:v8';
    import { ${setting} } from ${JSON.stringify(ENGINE)};
    ${setting}();
    const kept = [];
    for (let at = 0; at < 400_000; at += 1) kept.push({ at, text: 'text ' + at });
    const space = v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    console.log(space.space_size);
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

  it('says nothing when it is kept small', () => {
    const script = `import { keepEngineSmall } from ${JSON.stringify(ENGINE)}; keepEngineSmall();`;
    const { status, stderr, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    assert.deepEqual([status, stderr, stdout], [0, '', '']);
  });

  it('keeps the room for new objects at its first size, and does not without being told', () => {
    const [small, usual] = [newSpaceAfterGrowth('keepEngineSmall'), newSpaceAfterGrowth('letEngineGrow')];
    assert.ok(small * 2 <= usual, `${small} bytes against ${usual}`);
  });
});
