/** Protects the lab's cache: what is whole is kept, and nothing less is ever taken for it. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { cached, cacheFolder, type Parts } from '../../lab/cache.js';

const PARTS = ['kernel', 'image'] as const;

/** Builds the named parts, and counts how often it did. */
function parts(made: readonly string[]): Parts & { readonly builds: () => number } {
  let builds = 0;
  return {
    build: (folder) => {
      builds += 1;
      for (const name of made) writeFileSync(join(folder, name), name);
      return Promise.resolve();
    },
    missing: (folder) => PARTS.map((name) => join(folder, name)).find((path) => !existsSync(path)) ?? null,
    builds: () => builds,
  };
}

describe("the lab's cache", () => {
  let home: string;
  const before = process.env['XDG_CACHE_HOME'];
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'selfballoon-cache-'));
    process.env['XDG_CACHE_HOME'] = home;
  });
  afterEach(() => {
    if (before === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = before;
    rmSync(home, { recursive: true });
  });

  it('builds once, and hands out the same folder again', async () => {
    const whole = parts(PARTS);
    const folder = await cached('xen', 'a', whole);
    assert.equal(await cached('xen', 'a', whole), folder);
    assert.equal(whole.builds(), 1);
  });

  it('builds again what lacks a part', async () => {
    const folder = await cached('xen', 'a', parts(PARTS));
    rmSync(join(folder, 'kernel'));
    const again = parts(PARTS);
    assert.equal(await cached('xen', 'a', again), folder);
    assert.equal(again.builds(), 1);
    assert.ok(existsSync(join(folder, 'kernel')));
  });

  it('keeps nothing of a build that left a part out', async () => {
    await assert.rejects(cached('xen', 'a', parts(['image'])), /kernel was not built/);
    assert.deepEqual(readdirSync(cacheFolder()), []);
  });
});
