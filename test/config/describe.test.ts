import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CONFIG_KEYS, loadConfig } from '../../src/config/index.js';
import { findKey } from '../../src/config/keys.js';
import { editDistance, nearestOf } from '../../src/config/nearest.js';
import { acceptedText, TUNABLES, writeTunable, DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { configJsonSchema } from '../../tools/config-json-schema.js';
import { useSeed } from '../support/seed.js';

useSeed();

describe('the table of configuration keys', () => {
  it('has each tunable with what it accepts and its default', () => {
    for (const tunable of TUNABLES) {
      const row = CONFIG_KEYS.find(({ key }) => key === `tunables.${tunable.name}`);
      assert.equal(row?.allowed, acceptedText(tunable));
      assert.equal(row.default.replaceAll('"', ''), String(tunable.default));
      assert.equal(row.env, `SELFBALLOON_TUNABLES_${tunable.name.toUpperCase()}`);
    }
    assert.equal(CONFIG_KEYS.filter(({ key }) => key.startsWith('tunables.')).length, TUNABLES.length);
  });

  it('describes every key, and no two keys have the same variable', () => {
    const variables = CONFIG_KEYS.flatMap(({ env }) => env ?? []);
    assert.equal(new Set(variables).size, variables.length);
    for (const { description, allowed, default: fallback } of CONFIG_KEYS) {
      assert.match(description, /^[A-Z].*\.$/);
      assert.ok(allowed.length > 0 && fallback.length > 0);
    }
  });

  it('knows a guest by any name', () => {
    assert.deepEqual(
      CONFIG_KEYS.filter(({ env }) => env === null).map(({ key }) => key),
      ['guest."NAME or ID".min_mib', 'guest."NAME or ID".max_mib'],
    );
    assert.equal(findKey(['guest', 'any name', 'min_mib'])?.path.at(-1), 'min_mib');
    assert.equal(findKey(['guest', 'min_mib']), null);
  });
});

describe('a tunable in the configuration', () => {
  it('takes what a write of it takes', async () => {
    const text = fc.oneof(
      fc.integer({ min: -2, max: 3 }).map(String),
      fc.constantFrom('4294967295', '4294967296', '+5', 'auto', '', 'x', '1.5', '1e3'),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...TUNABLES), text, async ({ name }, given) => {
        const write = writeTunable(DEFAULT_TUNABLES, { name, text: given, mayChange: true, hasFrontswap: true });
        const flags = { tunables: { [name]: given } };
        const loaded = await loadConfig({ file: null, env: {}, flags, defaultFile: '/nonexistent/x' }).catch(
          () => null,
        );
        assert.deepEqual(loaded?.config.tunables ?? null, write.result === 'ok' ? write.tunables : null);
      }),
    );
  });
});

describe('the JSON Schema of the configuration', () => {
  const schema = JSON.stringify(configJsonSchema());

  it('has every description and refuses unknown keys', () => {
    for (const { description } of CONFIG_KEYS) assert.ok(schema.includes(JSON.stringify(description)), description);
    assert.ok(schema.includes('"https://json-schema.org/draft/2020-12/schema"'));
    assert.ok(schema.includes('"additionalProperties":false'));
  });

  it('says how many swap devices there may be, and that they must differ', () => {
    assert.match(schema, /"maxItems":32,"uniqueItems":true/);
  });

  it('makes no key a must', () => {
    assert.doesNotMatch(schema, /"required":\["/);
  });
});

describe('the nearest name', () => {
  it('is found by the number of letters that differ', () => {
    assert.equal(editDistance('kitten', 'sitting'), 3);
    assert.equal(nearestOf('selfbalooning', ['selfballooning', 'selfballoon_interval']), 'selfballooning');
    assert.equal(nearestOf('zzz', ['log', 'level']), null);
    assert.equal(nearestOf('x'.repeat(1000), ['log']), null);
  });

  it('is as far one way as the other, and 0 only between equals', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii' }), fc.string({ unit: 'grapheme-ascii' }), (a, b) => {
        assert.equal(editDistance(a, b), editDistance(b, a));
        assert.equal(editDistance(a, b) === 0, a === b);
        assert.ok(editDistance(a, b) <= Math.max(a.length, b.length));
      }),
    );
  });
});
