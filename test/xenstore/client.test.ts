/** The client against an honest xenstored: what each operation does, and how it is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { useSeed } from '../support/seed.js';
import { xenstoreError } from './support/frames.js';
import { connectTo, opened } from './support/opened.js';

useSeed();

describe('a node of the store', () => {
  it('has the value that was written, byte for byte', async (context) => {
    const { store } = await opened(context);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (value) => {
        await store.write('/a/b', value);
        assert.deepEqual(await store.read('/a/b'), Buffer.from(value));
      }),
    );
  });

  it('takes text and gives text', async (context) => {
    const { store } = await opened(context);
    await store.write('/local/domain/7/memory/target', '131072');
    assert.equal(await store.readText('/local/domain/7/memory/target'), '131072');
    await store.write('/a', Buffer.from([0xff, 0, 1]));
    await assert.rejects(store.readText('/a'), xenstoreError('EINVAL', /not text/));
  });

  it('can be empty, and its parents are made with it', async (context) => {
    const { store } = await opened(context);
    await store.write('/x/y/z', '');
    assert.equal(await store.readText('/x/y/z'), '');
    assert.equal(await store.readText('/x'), '');
    assert.deepEqual(await store.list('/x'), ['y']);
  });

  it('keeps its value when it is made again', async (context) => {
    const { store } = await opened(context);
    await store.write('/a', 'kept');
    await store.mkdir('/a');
    await store.mkdir('/b/c');
    assert.equal(await store.readText('/a'), 'kept');
    assert.deepEqual(await store.list('/'), ['a', 'b']);
  });

  it('is gone with all below when it is removed, and may be removed twice', async (context) => {
    const { store } = await opened(context);
    await store.write('/a/b/c', 'x');
    await store.remove('/a/b');
    await store.remove('/a/b');
    assert.deepEqual(await store.list('/a'), []);
    await assert.rejects(store.read('/a/b/c'), xenstoreError('ENOENT', /READ of "\/a\/b\/c"/));
    await assert.rejects(store.remove('/no/such'), xenstoreError('ENOENT'));
  });

  it("may be named from the own domain's home", async (context) => {
    const { fake, store } = await opened(context);
    await store.write('memory/target', '1');
    assert.equal(fake.world.store.node('/local/domain/0/memory/target', 0).value.toString(), '1');
  });

  it('takes as much as a message has room for, and the connection outlives the attempt at more', async (context) => {
    const { fake, store } = await opened(context);
    await store.write('/a', Buffer.alloc(4096 - 3, 1));
    await assert.rejects(store.write('/a', Buffer.alloc(4096 - 2, 1)), xenstoreError('E2BIG', /WRITE of "\/a"/));
    assert.equal(fake.requests.length, 1);
    assert.equal((await store.read('/a')).length, 4093);
  });
});

describe('a list of children', () => {
  const names = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `child-${index}`);

  it('is empty, short, or longer than a message', async (context) => {
    const { fake, store } = await opened(context);
    for (const count of [0, 1, 400, 1500]) {
      fake.world.store.make(`/many-${count}`, 0);
      for (const name of names(count)) fake.world.store.make(`/many-${count}/${name}`, 0);
      assert.deepEqual(await store.list(`/many-${count}`), names(count));
    }
  });

  it('is read again from the start when it has changed in between', async (context) => {
    const { fake, store } = await opened(context);
    for (const name of names(1000)) fake.world.store.make(`/many/${name}`, 0);
    let parts = 0;
    fake.tamper = (answer, request) => {
      if (request.operation === 'DIRECTORY_PART') parts += 1;
      if (parts === 2) fake.world.store.make('/many/new', 0);
      return fake.honestly(answer);
    };
    assert.deepEqual(await store.list('/many'), [...names(1000), 'new']);
  });

  it('is given up on when it changes each time', async (context) => {
    const { fake, store } = await opened(context);
    for (const name of names(1000)) fake.world.store.make(`/many/${name}`, 0);
    fake.tamper = (answer) => {
      fake.world.store.make(`/many/new-${fake.requests.length}`, 0);
      return fake.honestly(answer);
    };
    await assert.rejects(store.list('/many'), xenstoreError('EAGAIN', /changed each of 8 times/));
  });

  it('has an end, even where xenstored says that it has none', async (context) => {
    const { fake, store } = await opened(context);
    const payload = Buffer.from(`1\0${'a'.repeat(4000)}\0`);
    fake.tamper = (answer, request) =>
      fake.honestly(
        request.operation === 'DIRECTORY'
          ? { ...answer, operation: 'ERROR', payload: Buffer.from('E2BIG\0') }
          : { ...answer, payload },
      );
    await assert.rejects(store.list('/'), xenstoreError('EPROTO', /no end within 4194304 bytes/));
  });
});

describe('permissions', () => {
  it('are given as they were set', async (context) => {
    const { store } = await opened(context);
    await store.write('/a', '');
    assert.deepEqual(await store.getPermissions('/a'), [{ domid: 0, access: 'read' }]);
    const permissions = [
      { domid: 0, access: 'none' },
      { domid: 7, access: 'both' },
      { domid: 8, access: 'read' },
    ] as const;
    await store.setPermissions('/a', permissions);
    assert.deepEqual(await store.getPermissions('/a'), permissions);
  });

  it('name an owner at least', async (context) => {
    const { fake, store } = await opened(context);
    await assert.rejects(store.setPermissions('/a', []), xenstoreError('EINVAL', /no permissions/));
    assert.equal(fake.requests.length, 0);
  });

  it('keep a guest out of what is not its own, and the caller can tell', async (context) => {
    const { fake, store } = await opened(context);
    await store.write('/secret', 'x');
    await store.setPermissions('/secret', [{ domid: 0, access: 'none' }]);
    fake.domid = 7;
    const guest = await connectTo(context, fake);
    await assert.rejects(guest.read('/secret'), xenstoreError('EACCES'));
    await assert.rejects(guest.read('/missing'), xenstoreError('ENOENT'));
  });

  it('let a guest write in its home until its quota is used up', async (context) => {
    const { fake, store } = await opened(context);
    await store.mkdir('/local/domain/7');
    await store.setPermissions('/local/domain/7', [{ domid: 7, access: 'none' }]);
    fake.domid = 7;
    fake.world.store.nodesMax = 3;
    const guest = await connectTo(context, fake);
    await guest.write('memory/used', '1');
    await assert.rejects(guest.write('memory/more', '1'), xenstoreError('ENOSPC', /quota/));
  });
});

describe('domains', () => {
  it('have a home, and xenstored is in touch with them or not', async (context) => {
    const { fake, store } = await opened(context);
    fake.world.domains.add(7);
    assert.equal(await store.getDomainPath(7), '/local/domain/7');
    assert.equal(await store.isDomainIntroduced(7), true);
    assert.equal(await store.isDomainIntroduced(8), false);
  });

  it('have numbers, and nothing else is sent', async (context) => {
    const { fake, store } = await opened(context);
    await assert.rejects(store.getDomainPath(-1), xenstoreError('EINVAL'));
    await assert.rejects(store.isDomainIntroduced(65_536), xenstoreError('EINVAL'));
    assert.equal(fake.requests.length, 0);
  });
});

describe('a path that the protocol does not permit', () => {
  it('is refused here by every operation, and never sent', async (context) => {
    const { fake, store } = await opened(context);
    const bad = '/a//b';
    const calls = [
      store.read(bad),
      store.readText(bad),
      store.write(bad, ''),
      store.mkdir(bad),
      store.remove(bad),
      store.list(bad),
      store.getPermissions(bad),
      store.setPermissions(bad, [{ domid: 0, access: 'none' }]),
      store.watch(bad, () => undefined),
    ];
    for (const call of calls) await assert.rejects(call, xenstoreError('EINVAL', /double slash/));
    assert.equal(fake.requests.length, 0);
  });
});
