/** Protects the reading of what a guest says of its memory: it chooses the numbers, and says of some that it does not know them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeGuestStats } from '../../src/qmp/guest-stats.js';

/** What QEMU 7.2 said of a guest that has not been started, byte for byte. */
const NEVER_SAID =
  '{"stats": {"stat-htlb-pgalloc": 18446744073709551615, "stat-swap-out": 18446744073709551615, ' +
  '"stat-available-memory": 18446744073709551615, "stat-htlb-pgfail": 18446744073709551615, ' +
  '"stat-free-memory": 18446744073709551615, "stat-minor-faults": 18446744073709551615, ' +
  '"stat-major-faults": 18446744073709551615, "stat-total-memory": 18446744073709551615, ' +
  '"stat-swap-in": 18446744073709551615, "stat-disk-caches": 18446744073709551615}, "last-update": 0}';

/** Each by its name in QMP. */
const FIELDS = {
  'stat-total-memory': 'totalMemory',
  'stat-available-memory': 'availableMemory',
  'stat-free-memory': 'freeMemory',
  'stat-disk-caches': 'diskCaches',
  'stat-swap-in': 'swapIn',
  'stat-swap-out': 'swapOut',
  'stat-major-faults': 'majorFaults',
  'stat-minor-faults': 'minorFaults',
  'stat-htlb-pgalloc': 'hugePagesAllocated',
  'stat-htlb-pgfail': 'hugePagesFailed',
  'stat-oom-kills': 'oomKills',
  'stat-alloc-stalls': 'allocationStalls',
  'stat-async-scans': 'asyncScans',
  'stat-direct-scans': 'directScans',
  'stat-async-reclaims': 'asyncReclaims',
  'stat-direct-reclaims': 'directReclaims',
} as const;

const decode = (text: string): ReturnType<typeof decodeGuestStats> => decodeGuestStats(JSON.parse(text));
const nothing = Object.fromEntries(Object.values(FIELDS).map((name) => [name, null]));

describe('what a guest says of its memory', () => {
  it('is all unknown before it has said anything', () => {
    assert.deepEqual(decode(NEVER_SAID), { ...nothing, lastUpdate: null });
  });

  it('is each number under its own name', () => {
    const names = Object.entries(FIELDS);
    const stats = Object.fromEntries(names.map(([name], index) => [name, 1_000_000 + index]));
    const expected = Object.fromEntries(names.map(([, name], index) => [name, 1_000_000 + index]));
    assert.deepEqual(decodeGuestStats({ stats, 'last-update': 1_700_000_000 }), {
      ...expected,
      lastUpdate: 1_700_000_000,
    });
  });

  it('may be 0, which is something else than unknown', () => {
    assert.equal(decode('{"stats": {"stat-free-memory": 0, "stat-swap-in": 0}, "last-update": 1}')?.freeMemory, 0);
  });

  it('is unknown where it cannot be, each for itself', () => {
    for (const [name, field] of Object.entries(FIELDS)) {
      for (const wrong of ['18446744073709551615', '-1', '0.5', '9007199254740992', '"1"', 'null', '[]', 'true']) {
        const stats = decode(`{"stats": {"stat-unknown": 1, "${name}": ${wrong}}, "last-update": 5}`);
        assert.deepEqual(stats, { ...nothing, lastUpdate: 5 }, `${field} ${wrong}`);
      }
    }
  });

  it('is nothing where QEMU does not say when it was said', () => {
    for (const text of ['{"stats": {}}', '{"stats": {}, "last-update": -1}', '{"stats": [], "last-update": 5}', '[]']) {
      assert.equal(decode(text), null, text);
    }
  });

  it('is not believed with a date before its first word: it would be another guest’s', () => {
    const stats = decode('{"stats": {"stat-free-memory": 4096}, "last-update": 0}');
    assert.deepEqual(stats, { ...nothing, lastUpdate: null });
  });
});
