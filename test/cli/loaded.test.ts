/**
 * Protects a small guest's memory: what the daemon in it never uses is not loaded. It follows the imports of the compiled files,
 * in which types are gone; what is imported only when it is called for does not count.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const STATIC_IMPORT = /^(?:import|export)\s(?:[^'"]*\sfrom\s)?['"]([^'"]+)['"];$/gm;

/** All that is loaded with these files: ours as paths under `src`, the rest by its name. */
function loadedWith(...entries: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    if (!name.endsWith('.js')) return;
    for (const [, specifier = ''] of readFileSync(join(SRC, name), 'utf8').matchAll(STATIC_IMPORT)) {
      visit(specifier.startsWith('.') ? relative(SRC, join(SRC, dirname(name), specifier)) : specifier);
    }
  };
  for (const entry of entries) visit(entry);
  return seen;
}

const inGuest = loadedWith('cli/main.js', 'cli/commands/run.js', 'cli/daemon/xen-guest-place.js');

const among = (loaded: ReadonlySet<string>, test: RegExp): readonly string[] =>
  [...loaded].filter((name) => test.test(name));

describe('the daemon inside a guest', () => {
  it('is followed at all', () => {
    assert.ok(inGuest.size > 60, [...inGuest].join(' '));
    assert.ok(inGuest.has('server/server.js') && inGuest.has('valibot'));
  });

  it('does not load the simulator or the other places', () => {
    assert.deepEqual(among(inGuest, /^sim\/|^balloon\/|^hypervisors\/(?!xen-guest)|embedded-place/), []);
  });

  it('does not load the table, which only a terminal shows', () => {
    assert.deepEqual(among(inGuest, /table|log-update/), []);
  });

  it('does not load the TOML parser, the C calls or cryptography before they are needed', () => {
    assert.deepEqual(among(inGuest, /toml-eslint-parser|koffi|node:crypto/), []);
  });

  it('does not import node:http, whose names drag in a second HTTP client', () => {
    assert.deepEqual(among(inGuest, /node:http$/), []);
  });
});

describe('a reporter inside a guest', () => {
  for (const name of ['report', 'agent'] as const) {
    it(`${name}: does not load what only the daemon uses`, () => {
      const loaded = loadedWith('cli/main.js', `cli/commands/${name}.js`);
      assert.ok(loaded.has('reporter/reporter.js'));
      assert.deepEqual(
        among(
          loaded,
          /^sim\/|^balloon\/|^policies\/|^server\/|^qmp\/|runtime\/loop|toml-eslint-parser|koffi|node:crypto|node:http$/,
        ),
        [],
      );
    });
  }

  it('agent: loads nothing of Xen', () => {
    assert.deepEqual(among(loadedWith('cli/main.js', 'cli/commands/agent.js'), /xen/), []);
  });
});

describe('the places', () => {
  it('are loaded with what they drive, and it is found when it is there', () => {
    const embedded = loadedWith('cli/daemon/embedded-place.js');
    assert.ok(among(embedded, /^sim\//).length > 10);
    assert.ok(among(loadedWith('cli/commands/talk.js'), /cli-table3/).length === 1);
  });
});
