/** Protects the wait for descriptors: that it ends when it should, for the right reason, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { openPoller } from '../../src/posix/poll.js';

const folder = mkdtempSync(join(tmpdir(), 'selfballoon-poll-'));

/** Both ends of a pipe. */
function makePipe(name: string): { readonly reader: number; readonly writer: number } {
  const path = join(folder, name);
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) };
}

/** A process that waits for ever, and ends as `ending` says. */
function endWhileWaiting(ending: string): { readonly status: number | null; readonly stderr: string } {
  const poll = new URL('../../src/posix/poll.js', import.meta.url).href;
  const program = `
    import { openPoller } from ${JSON.stringify(poll)};
    const poller = await openPoller(1, 'priority');
    void poller.wait();
    setTimeout(() => { ${ending} }, 50);`;
  return spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
}

/** A number that no descriptor of this process has. */
const NEVER_OPEN = 1_000_000;

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

describe('waiting for a descriptor', () => {
  after(() => {
    rmSync(folder, { recursive: true });
  });

  it('ends when it becomes readable, and not before', async () => {
    const { reader, writer } = makePipe('readable');
    const poller = await openPoller(reader, 'readable');
    let isOver = false;
    const waiting = poller.wait().finally(() => (isOver = true));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isOver, false);
    writeSync(writer, 'x');
    assert.equal(await waiting, 'ready');
    await poller.close();
    closeSync(reader);
    closeSync(writer);
  });

  it('ends when it is woken, also when that was before the wait began', async () => {
    const { reader, writer } = makePipe('woken');
    const poller = await openPoller(reader, 'readable');
    const waiting = poller.wait();
    poller.wake();
    assert.equal(await waiting, 'woken');
    poller.wake();
    assert.equal(await poller.wait(), 'woken');
    writeSync(writer, 'x');
    assert.equal(await poller.wait(), 'ready');
    await poller.close();
    closeSync(reader);
    closeSync(writer);
  });

  it('says so when the other end is gone or the descriptor is not open', async () => {
    const { reader, writer } = makePipe('gone');
    const poller = await openPoller(reader, 'readable');
    closeSync(writer);
    assert.equal(await poller.wait(), 'failed');
    await poller.close();
    closeSync(reader);
    const closed = await openPoller(NEVER_OPEN, 'readable');
    assert.equal(await closed.wait(), 'failed');
    await closed.close();
  });

  it('ends when it is closed, and leaves no descriptor behind', async () => {
    const { reader, writer } = makePipe('closed');
    const before = openDescriptors();
    for (let n = 0; n < 50; n += 1) {
      const poller = await openPoller(reader, 'readable');
      const waiting = poller.wait();
      await poller.close();
      assert.equal(await waiting, 'woken');
      assert.equal(await poller.wait(), 'woken');
      await poller.close();
    }
    assert.equal(openDescriptors(), before);
    closeSync(reader);
    closeSync(writer);
  });

  it('does not keep a process from ending, also when it ends by an exception that nobody caught', () => {
    assert.equal(endWhileWaiting('process.exit(3)').status, 3);
    const thrown = endWhileWaiting("throw new Error('nobody catches this')");
    assert.equal(thrown.status, 1);
    assert.match(thrown.stderr, /nobody catches this/);
  });
});
