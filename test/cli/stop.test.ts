/** Protects the ways to end the daemon: one signal, the same twice, a second one, and one after our own mistake. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';

const STOP = new URL('../../src/cli/daemon/stop.js', import.meta.url).href;

/** Longer than two signals count as one. */
const BACK_MS = 1_500;
/** No test waits for the end of it. */
const LONG_MS = 60_000;
/** A process that does not end is ended: the test fails. */
const LIMIT = { timeout: 2 * LONG_MS, killSignal: 'SIGKILL' } as const;

/** What became of a process that is armed, does `then`, and gives back for so long: its code and what it printed. */
function ended(then: string, backMs = BACK_MS): readonly [code: number | null, printed: string] {
  const script = `
    import { spawn } from 'node:child_process';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { listenForStop } from ${JSON.stringify(STOP)};
    const signal = (name) => process.kill(process.pid, name);
    const work = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    const rounds = setInterval(() => undefined, 60_000);
    const stop = listenForStop();
    stop.arm();
    const stopped = new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
    ${then}
    await stopped;
    console.log('stops');
    await sleep(${backMs});
    clearInterval(rounds);
    console.log(process.getActiveResourcesInfo().includes('Timeout') ? 'is held' : 'gave back');
  `;
  const args = ['--input-type=module', '-e', script];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', ...LIMIT });
  return [status, stdout];
}

const GAVE_BACK = [0, 'stops\ngave back\n'] as const;
const ENDED_AT_ONCE = [130, 'stops\n'] as const;

describe('a signal', () => {
  it('lets the daemon give back', () => {
    assert.deepEqual(ended(`signal('SIGTERM');`), GAVE_BACK);
  });

  it('is one when it comes twice together', () => {
    assert.deepEqual(ended(`signal('SIGINT'); signal('SIGTERM');`), GAVE_BACK);
  });

  it('holds nobody who has given back before its half second is over', () => {
    assert.deepEqual(ended(`signal('SIGTERM');`, 0), GAVE_BACK);
  });

  it('is one when the second is heard within half a second', () => {
    const soon = `stop.signal.addEventListener('abort', () => setTimeout(() => signal('SIGTERM'), 200)); signal('SIGINT');`;
    assert.deepEqual(ended(soon), GAVE_BACK);
  });

  it('is the same as a mistake of our own that it brought about, and that was heard of first', () => {
    const brought = `setImmediate(() => { signal('SIGINT'); throw new Error('ours'); });`;
    assert.deepEqual(ended(brought), GAVE_BACK);
  });

  it('is one when the daemon was too busy to hear of it twice in time', () => {
    const busy = `stop.signal.addEventListener('abort', () => { signal('SIGTERM'); work(1_000); }); signal('SIGINT');`;
    assert.deepEqual(ended(busy), GAVE_BACK);
  });

  it('that is a second one ends it at once, also where nothing has happened since the first', () => {
    const later = `
      const second = 'sleep 5; kill -INT ' + process.pid + '; sleep 2';
      stop.signal.addEventListener('abort', () => spawn('sh', ['-c', second], { stdio: 'ignore' }));
      signal('SIGINT');`;
    assert.deepEqual(ended(later, LONG_MS), ENDED_AT_ONCE);
  });

  it('ends it at once where it has long been giving back after a mistake of our own', () => {
    const mistake = `setImmediate(() => { throw new Error('ours'); }); void sleep(1_500).then(() => signal('SIGINT'));`;
    assert.deepEqual(ended(mistake, LONG_MS), ENDED_AT_ONCE);
  });
});
