/** Protects which sockets are taken for monitors: those that the administrator named, and no other files. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { findSockets } from '../../../src/hypervisors/qmp/socket-patterns.js';
import { temporaryFolder } from '../../signals/proc-roots.js';

async function socketAt(test: TestContext, path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  test.after(() => server.close());
}

async function folderWithSockets(test: TestContext): Promise<string> {
  const folder = temporaryFolder(test);
  for (const name of ['a', 'b']) {
    mkdirSync(join(folder, name));
    await socketAt(test, join(folder, name, 'monitor.sock'));
  }
  await socketAt(test, join(folder, '100.qmp'));
  await socketAt(test, join(folder, '.hidden.qmp'));
  writeFileSync(join(folder, 'notes.qmp'), '');
  return folder;
}

describe('the sockets of monitors', () => {
  it('are found by path, by folder and by pattern, each once', async (test) => {
    const folder = await folderWithSockets(test);
    const find = async (...patterns: readonly string[]): Promise<readonly string[]> =>
      (await findSockets(patterns.map((pattern) => join(folder, pattern)))).map((path) =>
        path.slice(folder.length + 1),
      );
    assert.deepEqual(await find('100.qmp'), ['100.qmp']);
    assert.deepEqual(await find('*.qmp', '1??.qmp'), ['100.qmp']);
    assert.deepEqual(await find('.*.qmp'), ['.hidden.qmp']);
    assert.deepEqual(await find('*/monitor.sock'), ['a/monitor.sock', 'b/monitor.sock']);
    assert.deepEqual(await find('a', 'b/'), ['a/monitor.sock', 'b/monitor.sock']);
    assert.deepEqual(await find('[1]00.qmp', '1+0.qmp'), []);
  });

  it('are not what is missing, no socket, or a link to nothing', async (test) => {
    const folder = await folderWithSockets(test);
    symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling.qmp'));
    assert.deepEqual(await findSockets([join(folder, 'notes.qmp'), join(folder, 'dangling.qmp'), '/nowhere/*']), []);
    rmSync(join(folder, '100.qmp'));
    assert.deepEqual(await findSockets([join(folder, '*.qmp')]), []);
  });

  it('are found through a link to one', async (test) => {
    const folder = await folderWithSockets(test);
    symlinkSync(join(folder, '100.qmp'), join(folder, 'link.qmp'));
    assert.deepEqual(await findSockets([join(folder, 'l*.qmp')]), [join(folder, 'link.qmp')]);
  });

  it('are found once, also where a link leads to one that is found itself, or to its folder', async (test) => {
    const folder = await folderWithSockets(test);
    symlinkSync(join(folder, '100.qmp'), join(folder, '000.qmp'));
    symlinkSync(join(folder, '100.qmp'), join(folder, '200.qmp'));
    symlinkSync(join(folder, 'a'), join(folder, 'c'));
    assert.deepEqual(await findSockets([join(folder, '*.qmp')]), [join(folder, '100.qmp')]);
    assert.deepEqual(await findSockets([join(folder, '200.qmp'), join(folder, '000.qmp')]), [join(folder, '000.qmp')]);
    assert.deepEqual(await findSockets([join(folder, 'c'), join(folder, 'a')]), [join(folder, 'a', 'monitor.sock')]);
  });
});
