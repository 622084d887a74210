/** Protects the lab's set-up from tools that hang: a limit ends a tool with all that it has started, and what waits for it goes on. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runTool } from '../../lab/tool.js';

describe('a tool of the lab', () => {
  it('gives what it printed, and its last words where it fails', async () => {
    assert.equal(await runTool('sh', ['-c', 'echo out; echo err >&2']), 'out\n');
    await assert.rejects(runTool('sh', ['-c', 'echo why >&2; exit 3']), /ended with 3:\nwhy/);
    await assert.rejects(runTool('there-is-no-such-tool', []), /ENOENT/);
  });

  it('is ended at its limit with its children, which hold its output open, and nobody waits for them', async (test) => {
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-tool-'));
    test.after(() => {
      rmSync(folder, { recursive: true });
    });
    const late = join(folder, 'late');
    const hangs = runTool('sh', ['-c', `echo begun; (sleep 6; touch ${late}) & sleep 600`], { limitMs: 2_000 });
    await assert.rejects(hangs, /did not end within 2 s:\nbegun/);
    // The child's time to do harm, also where it began late.
    await sleep(6_500);
    assert.equal(existsSync(late), false);
  });
});
