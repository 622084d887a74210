/** Protects a host's person from not knowing: a domain that cannot be read is named, once, and whoever gives back is told of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeFrame, type Frame } from '../../../src/xenstore/codec.js';
import { Roster } from '../../../src/hypervisors/xen-host/roster.js';
import { Troubles } from '../../../src/hypervisors/xen-host/troubles.js';
import { VirtualClock } from '../../../src/sim/index.js';
import { millis } from '../../../src/units.js';
import { XenstoreError } from '../../../src/xenstore/errors.js';
import type { WatchEvent, WatchListener, Xenstore } from '../../../src/xenstore/index.js';
import { REPORT, type Rig } from './support/rig.js';
import { ONE, openTwo } from './support/two-domains.js';

/** xenstored answers these requests with an error, until `mend` is called. */
function refuse(rig: Rig, word: string, operation: string, path: string): { readonly mend: () => void } {
  rig.store.tamper = (answer, request) =>
    request.operation === operation && pathOf(request).startsWith(path)
      ? [encodeFrame({ ...request, operation: 'ERROR', payload: Buffer.from(`${word}\0`) })]
      : rig.store.honestly(answer);
  return {
    mend: () => {
      rig.store.tamper = (answer) => rig.store.honestly(answer);
    },
  };
}

const DESCRIPTION = { capabilities: { canSetTarget: true, hasOverflowTier: false, isSimulated: false } };

const pathOf = ({ payload }: Frame): string => payload.toString('latin1').split('\0', 1)[0] ?? '';

/** Begins to watch a host of two domains where some of it is refused from the start. */
async function openRefusing(
  test: Parameters<typeof openTwo>[0],
  ...refused: readonly [word: string, operation: string, path: string]
) {
  const rig = await openTwo(test, { isWatched: false });
  const { mend } = refuse(rig, ...refused);
  void rig.watch();
  await rig.settle();
  return { rig, mend };
}

/** Looks every second until `at`, as the loop does. */
async function lookUntil(rig: Rig, at: number): Promise<void> {
  for (let now = rig.clock.now() + 1_000; now <= at; now += 1_000) {
    await rig.to(now);
    await rig.look([]);
  }
}

const unreached = (rig: Rig): readonly string[] => rig.host.unreached?.() ?? [];

describe('a domain that cannot be watched', () => {
  it('is named once with what to do, and costs neither the others nor the connection', async (test) => {
    const { rig, mend } = await openRefusing(test, 'ENOSPC', 'WATCH', '/local/domain/1/');
    await lookUntil(rig, 60_000);
    assert.deepEqual(rig.heard(), ['came xen-host/Domain-0:0', 'came xen-host/two:2']);
    assert.equal(rig.store.connections.length, 1);
    assert.equal(rig.told.length, 1, rig.told.join('\n'));
    assert.match(rig.told[0] ?? '', /^domain 1 cannot be read.*WATCH.*ENOSPC.*quota.*raise/);
    assert.match(unreached(rig).join(), /^domain 1: xenstored refused WATCH/);
    mend();
    await lookUntil(rig, 80_000);
    assert.equal(rig.heard().at(-1), `came ${ONE}`);
    assert.deepEqual(unreached(rig), []);
    assert.equal(rig.told.length, 1);
    await lookUntil(rig, 120_000);
    assert.deepEqual(rig.told.slice(1), ['domain 1 (one) can be read again']);
  });

  it('leaves no watches behind, however often it is tried', async (test) => {
    const { rig } = await openRefusing(test, 'ENOSPC', 'WATCH', '/local/domain/1/data');
    await rig.to(30_000);
    const watched = rig.store.last.session.watches.map(({ path }) => path);
    // What is refused stays in this xenstored all the same; what was set up before it must not.
    assert.ok(watched.filter((path) => path === '/local/domain/1/name').length <= 1, watched.join());
  });
});

describe('a domain that cannot be read', () => {
  it('is named once for each error, and again when it was well for long', async (test) => {
    const { rig } = await openRefusing(test, 'EIO', 'READ', '/local/domain/1/name');
    await lookUntil(rig, 10_000);
    refuse(rig, 'ENOMEM', 'READ', '/local/domain/1/name');
    await lookUntil(rig, 20_000);
    refuse(rig, 'EIO', 'READ', '/local/domain/1/name').mend();
    await lookUntil(rig, 30_000);
    refuse(rig, 'EIO', 'READ', '/local/domain/1/name');
    rig.xen.put('/local/domain/1/name', 'one');
    await lookUntil(rig, 40_000);
    assert.equal(rig.told.length, 2, rig.told.join('\n'));
    assert.match(rig.told[0] ?? '', /^domain 1 cannot be read.*EIO/);
    assert.match(rig.told[1] ?? '', /^domain 1 cannot be read.*ENOMEM/);
    refuse(rig, 'EIO', 'READ', '/local/domain/1/name').mend();
    await lookUntil(rig, 80_000);
    refuse(rig, 'EIO', 'READ', '/local/domain/1/name');
    rig.xen.put('/local/domain/1/name', 'one');
    await lookUntil(rig, 90_000);
    assert.match(rig.told[3] ?? '', /^domain 1 \(one\) cannot be read.*EIO/);
    assert.equal(rig.told.length, 4, rig.told.join('\n'));
  });

  it('any more is named too, and forgotten when it is gone', async (test) => {
    const rig = await openTwo(test);
    refuse(rig, 'EIO', 'READ', '/local/domain/1/memory');
    rig.xen.put('/local/domain/1/memory/target', '200000');
    await lookUntil(rig, 5_000);
    assert.match(rig.told.join(), /^domain 1 \(one\) cannot be read[^,]*, or not all of it, .*EIO/);
    assert.equal(unreached(rig).length, 1);
    rig.xen.destroy(1);
    await lookUntil(rig, 60_000);
    assert.deepEqual(unreached(rig), []);
    assert.equal(rig.told.length, 1);
  });
});

describe('where domains may be that are not known', () => {
  it('is not where a domain’s name or report cannot be read: its target can be set', async (test) => {
    const rig = await openTwo(test);
    for (const node of ['name', REPORT]) {
      refuse(rig, 'EIO', 'READ', `/local/domain/1/${node}`);
      rig.xen.put(`/local/domain/1/${node}`, 'one');
      await rig.to(rig.clock.now() + 2_000);
      assert.match(rig.told.join(), /^domain 1 \(one\) cannot be read/);
      assert.deepEqual(unreached(rig), []);
    }
    await rig.set(ONE, 50_000);
  });

  it('is nowhere when all is well, and told with the reason when there is no connection', async (test) => {
    const rig = await openTwo(test);
    assert.deepEqual(unreached(rig), []);
    rig.isDown = true;
    await rig.cut();
    assert.match(unreached(rig).join(), /^the domains of this host, without a connection to xenstored: /);
  });

  it('is told when they cannot be listed', async (test) => {
    const { rig } = await openRefusing(test, 'EACCES', 'DIRECTORY', '/local/domain');
    await rig.to(1_000);
    assert.match(unreached(rig).join(), /DIRECTORY of "\/local\/domain": EACCES/);
  });

  it('is told while xenstored has not told all of them', async (test) => {
    const rig = await openTwo(test, { isWatched: false });
    rig.store.tamper = (answer, request) => (request.operation === 'DIRECTORY' ? [] : rig.store.honestly(answer));
    void rig.watch();
    await rig.settle();
    assert.match(unreached(rig).join(), /has not told all of them yet/);
  });
});

/** A connection to a host of one domain, whose watches are fired by hand. */
function fakeStore(): { readonly store: Xenstore; readonly listeners: Map<string, WatchListener>; reads: number } {
  const listeners = new Map<string, WatchListener>();
  const fake = {
    reads: 0,
    listeners,
    store: {
      list: () => Promise.resolve(['1']),
      isDomainIntroduced: () => Promise.resolve(true),
      readText: () => {
        fake.reads += 1;
        return Promise.resolve('1');
      },
      watch: (path: string, listener: WatchListener) => {
        listeners.set(path, listener);
        return Promise.resolve(() => Promise.resolve());
      },
    } as unknown as Xenstore,
  };
  return fake;
}

describe('the watches of a connection before', () => {
  it('hand nothing on any more when another is followed', async () => {
    const [before, after] = [fakeStore(), fakeStore()];
    const ignore = (): void => undefined;
    const roster = new Roster({ clock: new VirtualClock(), put: ignore, tell: ignore, describe: () => DESCRIPTION });
    await roster.follow(before.store);
    await roster.follow(after.store);
    const { reads } = before;
    for (const [path, listener] of before.listeners) void listener({ kind: 'changed', path });
    assert.equal(before.reads, reads);
    const event = { kind: 'changed', path: '/local/domain/1/name' } as WatchEvent;
    void after.listeners.get('/local/domain/1/name')?.(event);
    assert.equal(after.reads, reads + 1);
  });
});

describe('the domains over a new connection', () => {
  it('are not all known before it has told of them', async () => {
    const ignore = (): void => undefined;
    const roster = new Roster({ clock: new VirtualClock(), put: ignore, tell: ignore, describe: () => DESCRIPTION });
    await roster.follow(fakeStore().store);
    assert.deepEqual(roster.unreached, []);
    void roster.follow({ list: () => new Promise(() => undefined) } as unknown as Xenstore);
    assert.match(roster.unreached.join(), /has not told all of them yet/);
  });
});

describe('a trouble that comes again', () => {
  it('is not over, however long ago it was', () => {
    const told: string[] = [];
    let now = millis(0);
    const troubles = new Troubles({ now: () => now, tell: (message) => told.push(message), describe: String });
    const failure = new XenstoreError({ xenstoreCode: 'EIO', message: 'a test' });
    for (const outcome of [failure, null, failure]) troubles.note(1, 'name', outcome);
    now = millis(60_000);
    troubles.tellOver();
    assert.equal(told.length, 1);
    assert.equal(troubles.words(() => true).length, 1);
  });
});
