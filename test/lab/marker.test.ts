/** Protects the mark that says that the Xen lab is set up: a lab that cannot be booted is never taken for ready. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { imagesIn } from '../../lab/xen/images.js';
import { findXenLab, markXenReady } from '../../lab/xen/marker.js';

describe("the Xen lab's mark", () => {
  let cache: string;
  const path: string = process.env['PATH'] ?? '';

  /** Images of a lab that was set up, in files that are there and hold nothing, and tools that do nothing. */
  function setUp(folder: string): void {
    const { xen, dom0Initrd, dom0Root, guestRoot } = imagesIn(folder);
    for (const file of [xen, dom0Initrd, dom0Root, guestRoot, join(folder, 'kernel', 'boot', 'vmlinux')]) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, '');
    }
  }

  before(() => {
    cache = mkdtempSync(join(tmpdir(), 'selfballoon-marker-'));
    const tools = join(cache, 'tools');
    mkdirSync(tools);
    for (const name of ['qemu-system-x86_64', 'mke2fs', 'setpriv']) writeFileSync(join(tools, name), '');
    process.env['PATH'] = `${tools}:${path}`;
  });
  after(() => {
    process.env['PATH'] = path;
    rmSync(cache, { recursive: true });
  });

  it('is missing in a cache that nobody has set up', () => {
    assert.deepEqual(findXenLab(join(cache, 'none')), { kind: 'missing', why: 'the Xen lab is not set up' });
  });

  it('leads to the images that were built', () => {
    const folder = join(cache, 'xen-1');
    setUp(folder);
    markXenReady(folder, cache);
    assert.deepEqual(findXenLab(cache), { kind: 'ready', lab: imagesIn(folder) });
    assert.deepEqual(
      readdirSync(cache).filter((name) => name.startsWith('xen-lab.json.')),
      [],
    );
  });

  it('does not hold for images that are gone since, and names what is missing', () => {
    const folder = join(cache, 'xen-2');
    setUp(folder);
    markXenReady(folder, cache);
    rmSync(imagesIn(folder).guestRoot);
    const state = findXenLab(cache);
    assert.ok(state.kind === 'missing');
    assert.ok(state.why.includes(imagesIn(folder).guestRoot));
  });

  it('does not hold for images that another version of the lab has built', () => {
    writeFileSync(
      join(cache, 'xen-lab.json'),
      JSON.stringify({ recipe: 'of another day', folder: join(cache, 'xen-1') }),
    );
    assert.deepEqual(findXenLab(cache), { kind: 'missing', why: 'the Xen lab was set up by another version' });
  });

  it('that is garbled counts as missing and stops no test run', () => {
    for (const text of ['', '{', 'null', '{"recipe":1,"folder":2}']) {
      writeFileSync(join(cache, 'xen-lab.json'), text);
      assert.equal(findXenLab(cache).kind, 'missing');
    }
  });
});
