/** Protects hypervisors from calls that pile up, and guests from an old target that lands after a newer one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lanes } from '../../src/runtime/lanes.js';

function rig(): {
  readonly log: string[];
  readonly enter: (guest: string, name: string) => void;
  readonly finish: (name: string) => void;
} {
  const lanes = new Lanes();
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    log,
    enter: (guest, name) => {
      lanes.enter(guest, {
        run: (done) => {
          log.push(`runs ${name}`);
          ends.set(name, done);
        },
        superseded: () => void log.push(`superseded ${name}`),
      });
    },
    finish: (name) => ends.get(name)?.(),
  };
}

describe('a guest’s lane', () => {
  it('runs one call at a time, and after it only the newest that came meanwhile', () => {
    const { log, enter, finish } = rig();
    for (const name of ['a', 'b', 'c', 'd']) enter('guest', name);
    assert.deepEqual(log, ['runs a', 'superseded b', 'superseded c']);
    finish('a');
    finish('d');
    enter('guest', 'e');
    assert.deepEqual(log.slice(3), ['runs d', 'runs e']);
  });

  it('is its own: another guest does not wait for it', () => {
    const { log, enter } = rig();
    enter('hangs', 'a');
    enter('sound', 'b');
    assert.deepEqual(log, ['runs a', 'runs b']);
  });
});
