/** Protects hypervisors from calls that pile up, and guests from an old target that lands after a newer one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lanes } from '../../src/waiting/lanes.js';

interface Rig {
  readonly lanes: Lanes;
  readonly log: string[];
  readonly enter: (guest: string, name: string) => Promise<void>;
  readonly finish: (name: string, error?: Error) => Promise<void>;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function rig(): Rig {
  const lanes = new Lanes((guest) => new Error(`superseded for ${guest}`));
  const log: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const work = (name: string): Promise<string> => {
    log.push(`runs ${name}`);
    return new Promise((resolve, reject) => {
      ends.set(name, (error) => {
        if (error === undefined) resolve(`${name} is done`);
        else reject(error);
      });
    });
  };
  return {
    lanes,
    log,
    enter: async (guest, name) => {
      lanes
        .run(guest, () => work(name))
        .then(
          (said) => log.push(said),
          (error: unknown) => log.push(`${name}: ${String(error)}`),
        );
      await turn();
    },
    finish: async (name, error) => {
      ends.get(name)?.(error);
      await turn();
    },
  };
}

describe('a guest’s lane', () => {
  it('runs one call at a time, and after it only the newest that came meanwhile', async () => {
    const { log, enter, finish } = rig();
    for (const name of ['a', 'b', 'c', 'd']) await enter('guest', name);
    assert.deepEqual(log, ['runs a', 'b: Error: superseded for guest', 'c: Error: superseded for guest']);
    await finish('a');
    await finish('d');
    await enter('guest', 'e');
    assert.deepEqual(log.slice(3), ['a is done', 'runs d', 'd is done', 'runs e']);
  });

  it('is its own: another guest does not wait for it', async () => {
    const { log, enter } = rig();
    await enter('hangs', 'a');
    await enter('sound', 'b');
    assert.deepEqual(log, ['runs a', 'runs b']);
  });

  it('begins a call at once where nothing is under way: nobody can come in between', () => {
    const { log, enter } = rig();
    void enter('guest', 'a');
    assert.deepEqual(log, ['runs a']);
  });

  it('goes on after a call that failed, and its caller hears why', async () => {
    const { log, enter, finish } = rig();
    await enter('guest', 'a');
    await enter('guest', 'b');
    await finish('a', new Error('refused'));
    await finish('b');
    assert.deepEqual(log, ['runs a', 'a: Error: refused', 'runs b', 'b is done']);
  });
});

describe('all lanes', () => {
  it('are settled when the last call has ended, what waited included, and at once when there is none', async () => {
    const { lanes, log, enter, finish } = rig();
    await lanes.settled();
    for (const [guest, name] of [
      ['one', 'a'],
      ['one', 'b'],
      ['two', 'c'],
    ] as const)
      await enter(guest, name);
    void lanes.settled().then(() => log.push('settled'));
    for (const name of ['a', 'c', 'b']) {
      assert.ok(lanes.isBusy && !log.includes('settled'), log.join());
      await finish(name);
    }
    assert.equal(lanes.isBusy, false);
    assert.equal(log.at(-1), 'settled');
  });
});
