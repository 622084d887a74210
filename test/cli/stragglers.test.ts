/** Protects the end of the program from calls of C libraries that never return: an administrator must not have to kill it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = new URL('../../src/cli/main.js', import.meta.url);
/** Far longer than the program gives stragglers, so that the two cannot be taken for each other. */
const HANGS_FOR_S = 3_600;

describe('a program that is done', () => {
  it('ends although a call of a C library hangs, with the exit code that it has', async (test) => {
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-stragglers-'));
    test.after(() => {
      rmSync(folder, { recursive: true });
    });
    const script = join(folder, 'script.mjs');
    const lines = [
      `import koffi from ${JSON.stringify(import.meta.resolve('koffi'))};`,
      `koffi.load('libc.so.6').func('unsigned int sleep(unsigned int)').async(${HANGS_FOR_S}, () => undefined);`,
      `process.argv = [process.argv[0], ${JSON.stringify(fileURLToPath(MAIN))}, 'get', 'no such tunable'];`,
      `await import(${JSON.stringify(MAIN.href)});`,
    ];
    writeFileSync(script, lines.join('\n'));
    const code = await new Promise<unknown>((resolve) => {
      execFile(process.execPath, [script], { timeout: 120_000, killSignal: 'SIGKILL' }, (error) => {
        resolve(error?.code ?? 0);
      });
    });
    assert.equal(code, 1);
  });
});
