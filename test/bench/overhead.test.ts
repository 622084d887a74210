/** Protects the two scripts that measure the daemon in a guest: what they count, and that one file alone is enough to run. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseLook, sumUp, type Look, type Overhead } from '../../bench/overhead.js';

const SCRIPT = fileURLToPath(new URL('../../bench/overhead.js', import.meta.url));

const ROLLUP = `55d0c1a00000-7ffd5b1f2000 ---p 00000000 00:00 0                          [rollup]
Rss:               56592 kB
Pss:               31097 kB
Pss_Anon:          14476 kB
Private_Dirty:     14490 kB
Referenced:        56592 kB
Anonymous:         14476 kB
Swap:                128 kB
SwapPss:             127 kB
`;
const stat = (name: string, user: number, system: number): string =>
  `4242 (${name}) S 1 4242 4242 0 -1 4194560 8483 0 12 0 ${user} ${system} 0 0 20 0 11 0 9000 1100000000 14148 0\n`;

const look = (over: Partial<Look>): Look => ({ rssKib: 50, privateKib: 10, swapKib: 0, cpuMs: 100, ...over });

/** A process that does nothing for as long as the test takes. */
function idle(test: TestContext): number {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
  test.after(() => child.kill());
  return child.pid ?? assert.fail('it was not started');
}

describe('a look at a process', () => {
  it('takes resident, private and swapped memory, and user and system time together', () => {
    assert.deepEqual(parseLook(ROLLUP, stat('node', 31, 12)), {
      rssKib: 56_592,
      privateKib: 14_476,
      swapKib: 128,
      cpuMs: 430,
    });
  });

  it('is not led astray by a name with brackets and numbers in it', () => {
    assert.equal(parseLook(ROLLUP, stat('a) S 9 9 9 (b', 1, 2)).cpuMs, 30);
  });

  it('says what is missing, and never takes it for 0', () => {
    assert.throws(() => parseLook(ROLLUP.replace('\nAnonymous:', '\nOther:'), stat('node', 1, 1)), /no Anonymous/);
    assert.throws(() => parseLook('', stat('node', 1, 1)), /smaps_rollup has no Rss/);
    assert.throws(() => parseLook(ROLLUP, '4242 (node) S 1'), /no CPU times/);
  });
});

describe('the sum of the looks', () => {
  it('has the first, the last and the highest of each, and the CPU time between', () => {
    const looks = [
      look({ privateKib: 12 }),
      look({ privateKib: 19, rssKib: 70 }),
      look({ privateKib: 11, cpuMs: 180 }),
    ];
    const { privateKib, rssKib, cpuMs, looks: count } = sumUp(looks);
    assert.deepEqual(privateKib, { start: 12, end: 11, peak: 19 });
    assert.deepEqual(rssKib, { start: 50, end: 50, peak: 70 });
    assert.deepEqual([cpuMs, count], [80, 3]);
  });

  it('of no looks is an error', () => {
    assert.throws(() => sumUp([]), /nothing was seen/);
  });
});

describe('the script', () => {
  it('prints one line of JSON, also when it is copied away from everything else', (test) => {
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-overhead-'));
    test.after(() => {
      rmSync(folder, { recursive: true });
    });
    copyFileSync(SCRIPT, join(folder, 'overhead.js'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    const pid = idle(test);
    const text = execFileSync(process.execPath, [join(folder, 'overhead.js'), String(pid), '0.2'], {
      encoding: 'utf8',
    });
    assert.match(text, /^\{.*\}\n$/);
    const seen = JSON.parse(text) as Overhead & { readonly pid: number; readonly isGone: boolean };
    assert.deepEqual([seen.pid, seen.isGone], [pid, false]);
    assert.ok(seen.looks >= 2);
    assert.ok(seen.privateKib.end > 0 && seen.privateKib.end <= seen.rssKib.end && seen.cpuMs >= 0);
  });

  it('imports nothing but parts of Node.js', () => {
    const text = readFileSync(SCRIPT, 'utf8');
    const imports = Array.from(text.matchAll(/^import .* from '([^']+)'/gm), ([, name]) => name);
    assert.ok(imports.length > 0 && imports.every((name) => name?.startsWith('node:')), imports.join());
  });

  it('says so when there is no such process, or when it was called wrongly', () => {
    const run = (...args: readonly string[]) => spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8' });
    const none = run('4194304999', '1');
    assert.deepEqual([none.status, none.stdout, none.stderr], [1, '', 'there is no process 4194304999\n']);
    for (const args of [[], ['1'], ['x', '1'], ['1', '0'], ['1', '-1'], ['1', '1e9'], ['0', '1'], ['1', '1', '1']]) {
      const wrong = run(...args);
      assert.equal(wrong.status, 2, args.join(' '));
      assert.match(wrong.stderr, /^usage: /);
    }
  });

  it('gives what it has when the process ends meanwhile, and fails', () => {
    const brief = `const { spawn } = require('node:child_process');
      // Long enough for another Node.js to start and look once.
      const child = spawn('sleep', ['5']);
      const script = spawn(process.execPath, [process.argv[1], String(child.pid), '600'], { stdio: 'inherit' });
      script.once('exit', (code) => { process.exitCode = code; });`;
    const { status, stdout } = spawnSync(process.execPath, ['-e', brief, SCRIPT], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stdout, /"isGone":true\}\n$/);
  });
});
