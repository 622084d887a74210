/** Transactions: all or nothing, again after a conflict, and nothing left behind. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Store } from '../../src/xenstore/store.js';
import { xenstoreError } from './support/frames.js';
import { connectTo, opened, throughPauses, until, type Opened } from './support/opened.js';

const endings = ({ fake }: Opened): readonly string[] =>
  fake.requests
    .filter(({ operation }) => operation === 'TRANSACTION_END')
    .map(({ payload }) => payload.toString().slice(0, 1));

const openTransactions = ({ fake }: Opened): number => fake.last.session.transactions.size;

describe('a transaction', () => {
  it('is seen by others all at once', async (context) => {
    const { fake, store } = await opened(context);
    const other = await connectTo(context, fake);
    const result = await store.transaction(async (inside) => {
      await inside.write('/a/1', 'x');
      await inside.write('/a/2', 'y');
      assert.equal(await inside.readText('/a/1'), 'x');
      await assert.rejects(other.read('/a/1'), xenstoreError('ENOENT'));
      return inside.list('/a');
    });
    assert.deepEqual(result, ['1', '2']);
    assert.deepEqual(await other.list('/a'), ['1', '2']);
  });

  it('that throws leaves nothing behind, and throws on', async (context) => {
    const both = await opened(context);
    const mine = new Error('mine');
    const failing = both.store.transaction(async (inside) => {
      await inside.write('/a', 'x');
      throw mine;
    });
    await assert.rejects(failing, (error) => error === mine);
    await assert.rejects(both.store.read('/a'), xenstoreError('ENOENT'));
    assert.deepEqual(endings(both), ['F']);
    assert.equal(openTransactions(both), 0);
  });

  it('that xenstored refuses something in ends by that refusal', async (context) => {
    const both = await opened(context);
    await assert.rejects(
      both.store.transaction((inside) => inside.read('/none')),
      xenstoreError('ENOENT', /READ of "\/none"/),
    );
    assert.equal(openTransactions(both), 0);
  });

  it('that others stand in the way of is done again, on what they have left', async (context) => {
    const both = await opened(context);
    const other = await connectTo(context, both.fake);
    await other.write('/counter', '0');
    let attempts = 0;
    const counting = both.store.transaction(async (inside) => {
      attempts += 1;
      const count = Number(await inside.readText('/counter'));
      if (attempts <= 3) await other.write('/counter', String(attempts * 10));
      await inside.write('/counter', String(count + 1));
    });
    await throughPauses(both.clock, counting);
    assert.equal(attempts, 4);
    assert.equal(await other.readText('/counter'), '31');
    assert.deepEqual(endings(both), ['T', 'T', 'T', 'T']);
    assert.equal(both.clock.now(), 1 + 2);
  });

  it('loses no increment where many clients count at once', async (context) => {
    const { fake, store, clock } = await opened(context);
    await store.write('/counter', '0');
    const clients = [store, await connectTo(context, fake, { clock }), await connectTo(context, fake, { clock })];
    const count = async (inside: Store): Promise<void> => {
      await inside.write('/counter', String(Number(await inside.readText('/counter')) + 1));
    };
    for (let round = 0; round < 5; round += 1) {
      const counting = clients.map((client) => client.transaction(count, { attemptsMax: 1000 }));
      await throughPauses(clock, Promise.all(counting));
    }
    assert.equal(await store.readText('/counter'), '15');
  });

  it('is given up on after so many conflicts', async (context) => {
    const both = await opened(context);
    const other = await connectTo(context, both.fake);
    let attempts = 0;
    const contended = both.store.transaction(
      async (inside) => {
        attempts += 1;
        await inside.write('/a', 'mine');
        await other.write('/a', 'theirs');
      },
      { attemptsMax: 4 },
    );
    await assert.rejects(throughPauses(both.clock, contended), xenstoreError('EAGAIN', /each of 4 times/));
    assert.equal(attempts, 4);
    assert.equal(await other.readText('/a'), 'theirs');
  });

  it('cannot be started when xenstored has too many, and the body does not run', async (context) => {
    const { fake, store } = await opened(context);
    fake.world.transactionsMax = 0;
    await assert.rejects(
      store.transaction(() => assert.fail('it ran')),
      xenstoreError('ENOSPC', /TRANSACTION_START/),
    );
  });

  it('takes nothing after its end, for its id may be that of another', async (context) => {
    const both = await opened(context);
    let kept: Store | undefined;
    await both.store.transaction((inside) => {
      kept = inside;
      return Promise.resolve();
    });
    const before = both.fake.requests.length;
    await assert.rejects(kept?.write('/a', 'late') ?? Promise.resolve(), xenstoreError('EINVAL', /after the end/));
    assert.equal(both.fake.requests.length, before);
  });

  it('commits after everything that was asked in it, awaited or not', async (context) => {
    const { store } = await opened(context, { outstandingMax: 1 });
    const writes: Promise<void>[] = [];
    await store.transaction((inside) => {
      for (let index = 0; index < 20; index += 1) writes.push(inside.write(`/a/${index}`, ''));
      return Promise.resolve();
    });
    await Promise.all(writes);
    assert.equal((await store.list('/a')).length, 20);
  });
});

describe('a transaction that is given up on', () => {
  it('before it has begun is discarded when it begins after all', async (context) => {
    const both = await opened(context);
    both.fake.isHolding = true;
    const stop = new AbortController();
    const given = both.store.transaction(() => assert.fail('it ran'), { signal: stop.signal });
    await until('it is asked', () => both.fake.held.length === 1);
    stop.abort();
    await assert.rejects(given, xenstoreError('ETIMEDOUT', /TRANSACTION_START/));
    both.fake.isHolding = false;
    both.fake.release();
    await until('it is discarded', () => endings(both).includes('F') && openTransactions(both) === 0);
  });

  it('in its midst is discarded', async (context) => {
    const both = await opened(context);
    const stop = new AbortController();
    const given = both.store.transaction(
      async (inside) => {
        await inside.write('/a', 'x');
        stop.abort();
        await inside.write('/b', 'x');
      },
      { signal: stop.signal },
    );
    await assert.rejects(given, xenstoreError('ETIMEDOUT', /WRITE of "\/b"/));
    assert.deepEqual(endings(both), ['F']);
    await assert.rejects(both.store.read('/a'), xenstoreError('ENOENT'));
  });

  it('at its commit is discarded if that was never sent', async (context) => {
    const both = await opened(context);
    const stop = new AbortController();
    const given = both.store.transaction(
      async (inside) => {
        await inside.write('/a', 'x');
        stop.abort();
      },
      { signal: stop.signal },
    );
    await assert.rejects(given, xenstoreError('ETIMEDOUT', /TRANSACTION_END was not sent/));
    await until('it is discarded', () => openTransactions(both) === 0);
    assert.deepEqual(endings(both), ['F']);
  });

  it('at its commit is left alone if that was sent: it may have happened, and the id may be another’s', async (context) => {
    const both = await opened(context);
    const stop = new AbortController();
    both.fake.tamper = (answer, request) => {
      if (request.operation !== 'TRANSACTION_END') return both.fake.honestly(answer);
      stop.abort();
      return [];
    };
    const given = both.store.transaction((inside) => inside.write('/a', 'x'), { signal: stop.signal });
    await assert.rejects(
      given,
      (error) =>
        xenstoreError('ETIMEDOUT')(error) &&
        error instanceof Object &&
        'mayHaveHappened' in error &&
        error.mayHaveHappened === true,
    );
    assert.equal(await both.store.readText('/a'), 'x');
    assert.deepEqual(endings(both), ['T']);
  });

  it('between two attempts ends there', async (context) => {
    const both = await opened(context);
    const other = await connectTo(context, both.fake);
    const stop = new AbortController();
    const given = both.store.transaction(
      async (inside) => {
        await inside.write('/a', 'mine');
        await other.write('/a', 'theirs');
      },
      { signal: stop.signal },
    );
    await until('it pauses', () => both.clock.nextTimerAt !== null);
    stop.abort();
    await assert.rejects(given, xenstoreError('ETIMEDOUT', /a transaction was not sent/));
    assert.deepEqual(endings(both), ['T', 'T']);
    assert.ok(both.fake.connections.every(({ session }) => session.transactions.size === 0));
    assert.equal(both.clock.nextTimerAt, null);
  });
});
