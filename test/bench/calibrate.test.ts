/** Protects the calibration: the same work everywhere, nothing but Node.js needed, and an answer that a program can read. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { costOf, parseFields, SAMPLE_TEXT, workOnce, type UnitCost } from '../../bench/calibrate.js';

const SCRIPT = fileURLToPath(new URL('../../bench/calibrate.js', import.meta.url));

function run(): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [SCRIPT], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    child.once('error', reject).once('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`it ended with ${String(code)}`));
    });
  });
}

describe('the work', () => {
  it('is of the size of /proc/meminfo, and all of it is parsed', () => {
    assert.ok(SAMPLE_TEXT.length > 1_000 && SAMPLE_TEXT.length < 2_000, String(SAMPLE_TEXT.length));
    const fields = parseFields(SAMPLE_TEXT);
    assert.equal(fields.size, 50);
    assert.deepEqual([fields.get('Field0'), fields.get('Field49')], [0, 49 * 4_096]);
  });

  it('reads, parses and writes a record, and its answer depends on that', () => {
    const descriptors = ['/proc/loadavg', '/proc/uptime'].map((file) => openSync(file, 'r'));
    assert.equal(workOnce(descriptors, Buffer.alloc(4_096)), 50);
    for (const descriptor of descriptors) closeSync(descriptor);
    assert.throws(() => workOnce([-1], Buffer.alloc(16)));
  });
});

describe('the cost of a unit', () => {
  it('is user and system time, each and together, to a tenth of a microsecond', () => {
    assert.deepEqual(costOf({ user: 9_000, system: 1_000 }, 3), { userUs: 3_000, systemUs: 333.3, totalUs: 3_333.3 });
  });
});

describe('the script', () => {
  it('imports nothing but parts of Node.js', () => {
    const imports = Array.from(
      readFileSync(SCRIPT, 'utf8').matchAll(/^import .* from '([^']+)'/gm),
      ([, name]) => name,
    );
    assert.ok(imports.length > 0 && imports.every((name) => name?.startsWith('node:')), imports.join());
  });

  it('prints what a unit takes, one after the other and with pauses', async () => {
    const said = JSON.parse(await run()) as {
      readonly node: string;
      readonly paced: UnitCost;
      readonly warm: UnitCost;
    };
    assert.equal(said.node, process.version);
    for (const { userUs, systemUs, totalUs } of [said.paced, said.warm]) {
      assert.ok(totalUs > 0);
      assert.ok(Math.abs(userUs + systemUs - totalUs) < 0.2);
    }
  });
});
