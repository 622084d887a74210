/** Protects who is known: every domain comes once, leaves once, and none is lost with a connection. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeFrame, type Frame } from '../../../src/xenstore/codec.js';
import { until } from '../../xenstore/support/opened.js';
import { Rig } from './support/rig.js';

const errorTo = (answer: Frame, word: string): readonly Buffer[] => [
  encodeFrame({ ...answer, operation: 'ERROR', payload: Buffer.from(`${word}\0`) }),
];

describe('the domains of a Xen host', () => {
  it('are those that xenstored is in touch with, dom0 among them, with what each is called and allowed', async (test) => {
    const { notices } = await Rig.open(test, (xen) => {
      xen.create(1, { name: 'one' });
      xen.create(7, { name: 'web shop', nodes: { 'memory/dynamic-min': '131072', 'memory/dynamic-max': '262144' } });
      xen.put('/local/domain/12/name', 'being built');
    });
    const guests = notices.map((notice) => (notice.kind === 'guest-came' ? notice.guest : notice.kind));
    const abilities = { hasOverflowTier: false, isSimulated: false };
    assert.deepEqual(guests, [
      {
        id: 'xen-host/Domain-0:0',
        name: 'Domain-0',
        capabilities: { ...abilities, canSetTarget: false },
        pool: 'xen-host',
        isSeenWithAll: true,
        floorFirm: 131_072,
      },
      {
        id: 'xen-host/one:1',
        name: 'one',
        capabilities: { ...abilities, canSetTarget: true },
        pool: 'xen-host',
        isSeenWithAll: true,
        limits: { floor: 0, ceiling: null },
      },
      {
        id: 'xen-host/web_shop:7',
        name: 'web_shop',
        capabilities: { ...abilities, canSetTarget: true },
        pool: 'xen-host',
        isSeenWithAll: true,
        limits: { floor: 32_768, ceiling: 65_536 },
      },
    ]);
  });

  it('come and go while they are watched, each once', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }));
    rig.xen.create(2, { name: 'two' });
    await rig.to(1_000);
    rig.xen.destroy(1);
    await rig.to(2_000);
    rig.store.fire('@introduceDomain');
    rig.store.fire('@releaseDomain');
    await rig.to(3_000);
    assert.deepEqual(rig.heard(), [
      'came xen-host/Domain-0:0',
      'came xen-host/one:1',
      'came xen-host/two:2',
      'left xen-host/one:1',
    ]);
  });

  it('keep their id when they are renamed, and are told as changed', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }));
    rig.xen.put('/local/domain/1/name', 'uno\u001b[31m\n');
    await rig.to(1_000);
    const last = rig.notices.at(-1);
    assert.ok(last?.kind === 'guest-changed');
    assert.deepEqual([last.guest.id, last.guest.name], ['xen-host/one:1', 'uno__31m_']);
    rig.xen.put('/local/domain/1/name', '');
    await rig.to(2_000);
    assert.equal(rig.notices.at(-1), last);
  });

  it('that are rebooted are others of the same name', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }));
    rig.xen.create(2, { name: 'one' });
    rig.xen.destroy(1);
    await rig.to(1_000);
    assert.deepEqual(rig.heard().slice(2).sort(), ['came xen-host/one:2', 'left xen-host/one:1']);
  });

  it('are told as changed when their limits are, and not when nothing that counts is', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }));
    rig.xen.put('/local/domain/1/memory/dynamic-max', '262144');
    await rig.to(1_000);
    const last = rig.notices.at(-1);
    assert.ok(last?.kind === 'guest-changed');
    assert.deepEqual(last.guest.limits, { floor: 0, ceiling: 65_536 });
    rig.xen.put('/local/domain/1/memory/dynamic-max', '262145');
    rig.xen.put('/local/domain/1/memory/target', '200000');
    await rig.to(2_000);
    assert.equal(rig.notices.at(-1), last);
    rig.xen.remove('/local/domain/1/memory/dynamic-max');
    await rig.to(3_000);
    const restored = rig.notices.at(-1);
    assert.ok(restored?.kind === 'guest-changed' && restored.guest.limits?.ceiling === null);
  });

  it('have names of any length and ids of at most 255 characters', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(32_751, { name: 'n'.repeat(3_000) }));
    const last = rig.notices.at(-1);
    assert.ok(last?.kind === 'guest-came');
    assert.ok(last.guest.id.length <= 255 && last.guest.id.endsWith(':32751'));
    assert.ok(last.guest.name.length <= 255);
  });

  it('without a name are called by their number', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(3, { name: '' }));
    assert.equal(rig.heard().at(-1), 'came xen-host/3:3');
  });
});

describe('when the connection to xenstored is lost', () => {
  it('nobody leaves; those that went meanwhile leave when it is found, and those that came meanwhile come', async (test) => {
    const rig = await Rig.open(test, (xen) => {
      xen.create(1, { name: 'one' });
      xen.create(2, { name: 'two' });
    });
    rig.isDown = true;
    await rig.cut();
    await rig.to(10_000);
    assert.deepEqual(rig.heard().slice(3), []);
    rig.xen.destroy(1);
    rig.xen.create(3, { name: 'three' });
    rig.isDown = false;
    await rig.to(20_000);
    assert.deepEqual(rig.heard().slice(3).sort(), ['came xen-host/three:3', 'left xen-host/one:1']);
    rig.xen.destroy(2);
    await rig.to(21_000);
    assert.equal(rig.heard().at(-1), 'left xen-host/two:2');
  });

  it('those that stayed are followed anew: name, limits, target and report', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one', target: 262_144 }));
    rig.isDown = true;
    await rig.cut();
    rig.xen.put('/local/domain/1/memory/target', '200000');
    rig.xen.put('/local/domain/1/name', 'uno');
    rig.isDown = false;
    await rig.to(10_000);
    const { asked } = await rig.reading('xen-host/one:1');
    assert.ok(asked.known && asked.value === 50_000);
    assert.equal(rig.heard().at(-1), 'changed xen-host/one:1');
    rig.xen.put('/local/domain/1/memory/target', '240000');
    await rig.to(11_000);
    const later = (await rig.reading('xen-host/one:1')).asked;
    assert.ok(later.known && later.value === 60_000);
  });

  it('they can be read all the while, with what Xen says now', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }));
    rig.isDown = true;
    await rig.cut();
    const domain = rig.xen.domains.get(1);
    assert.ok(domain !== undefined);
    domain.held = 204_800;
    const { current } = await rig.reading('xen-host/one:1');
    assert.ok(current.known && current.value === 51_200);
  });

  it('again and again, nobody comes twice or leaves', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }));
    for (let at = 10_000; at <= 60_000; at += 10_000) {
      await rig.cut();
      await rig.to(at);
    }
    assert.deepEqual(rig.heard(), ['came xen-host/Domain-0:0', 'came xen-host/one:1']);
    assert.equal(rig.store.connections.filter(({ socket }) => !socket.destroyed).length, 1);
  });

  it('in the middle of listing the domains, it is begun anew, and told of as lost', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }), { isWatched: false });
    const honestly = (answer: Frame): readonly Buffer[] => rig.store.honestly(answer);
    rig.store.tamper = (answer) => {
      if (answer.operation === 'DIRECTORY') rig.store.last.socket.destroy();
      return honestly(answer);
    };
    void rig.watch();
    await rig.to(1_000);
    assert.deepEqual(rig.heard(), []);
    assert.match(rig.told.join(), /is lost: .*; connecting again$/);
    rig.store.tamper = honestly;
    await rig.to(10_000);
    assert.deepEqual(rig.heard(), ['came xen-host/Domain-0:0', 'came xen-host/one:1']);
    assert.equal(rig.told.length, 2);
  });
});

describe('a host whose domains are being met', () => {
  it('says so until all were looked at once, however slowly xenstored answers, and not when it connects again', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }), { isWatched: false });
    rig.store.isHolding = true;
    assert.equal(rig.host.isMeeting, true);
    void rig.watch();
    await rig.to(1_000);
    assert.equal(rig.host.isMeeting, true);
    while (!rig.heard().includes('came xen-host/Domain-0:0')) {
      rig.store.release();
      await rig.settle();
    }
    assert.equal(rig.host.isMeeting, true);
    rig.store.isHolding = false;
    rig.store.release();
    await rig.to(2_000);
    assert.equal(rig.host.isMeeting, false);
    await rig.cut();
    assert.equal(rig.host.isMeeting, false);
  });

  it('says so also where the connection is lost in the middle of the first look at them', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }), { isWatched: false });
    rig.store.tamper = (answer) => {
      if (!['DIRECTORY', 'IS_DOMAIN_INTRODUCED'].includes(answer.operation)) rig.store.last.socket.destroy();
      return rig.store.honestly(answer);
    };
    void rig.watch();
    await rig.to(1_000);
    assert.match(rig.told.join(), /is lost: /);
    assert.equal(rig.host.isMeeting, true);
    rig.store.tamper = (answer) => rig.store.honestly(answer);
    await rig.to(15_000);
    assert.equal(rig.host.isMeeting, false);
    assert.deepEqual(rig.heard(), ['came xen-host/Domain-0:0', 'came xen-host/one:1']);
  });
});

describe('listing the domains', () => {
  it('that fails at the start is done again over another connection', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }), { isWatched: false });
    const honestly = (answer: Frame): readonly Buffer[] => rig.store.honestly(answer);
    rig.store.tamper = (answer) => (answer.operation === 'DIRECTORY' ? errorTo(answer, 'EIO') : honestly(answer));
    void rig.watch();
    await rig.to(5_000);
    assert.deepEqual(rig.heard(), []);
    assert.match(rig.told.join(), /is lost: xenstored refused DIRECTORY of "\/local\/domain": EIO/);
    rig.store.tamper = honestly;
    await rig.to(15_000);
    assert.deepEqual(rig.heard(), ['came xen-host/Domain-0:0', 'came xen-host/one:1']);
  });

  it('that fails later is tried again until it works, and forgets nobody meanwhile', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }));
    const honestly = (answer: Frame): readonly Buffer[] => rig.store.honestly(answer);
    rig.store.tamper = (answer) => (answer.operation === 'DIRECTORY' ? errorTo(answer, 'ENOMEM') : honestly(answer));
    rig.xen.create(2, { name: 'two' });
    await rig.to(2_000);
    assert.deepEqual(rig.heard().slice(2), []);
    await rig.to(10_000);
    const tries = rig.countOf('DIRECTORY', '/local/domain');
    assert.ok(tries > 5 && tries < 20, `${tries} tries in 10 s`);
    rig.store.tamper = honestly;
    await rig.to(12_000);
    assert.deepEqual(rig.heard().slice(2), ['came xen-host/two:2']);
    await rig.to(14_000);
    const after = rig.countOf('DIRECTORY', '/local/domain');
    await rig.to(60_000);
    assert.equal(rig.countOf('DIRECTORY', '/local/domain'), after);
    assert.equal(rig.told.length, 1);
    assert.match(rig.told[0] ?? '', /^the list of domains cannot be read.*ENOMEM/);
  });

  it('goes on with the others where one cannot be watched, and comes back to it', async (test) => {
    const rig = await Rig.open(test, () => undefined);
    const honestly = (answer: Frame): readonly Buffer[] => rig.store.honestly(answer);
    rig.store.tamper = (answer, request) => {
      const isHis = request.operation === 'WATCH' && request.payload.toString().startsWith('/local/domain/1/memory');
      return isHis ? errorTo(answer, 'ENOSPC') : honestly(answer);
    };
    for (const domid of [1, 2, 3]) rig.xen.create(domid);
    await rig.to(5_000);
    assert.deepEqual(rig.heard().slice(1), ['came xen-host/guest-2:2', 'came xen-host/guest-3:3']);
    rig.store.tamper = honestly;
    await rig.to(10_000);
    assert.equal(rig.heard().at(-1), 'came xen-host/guest-1:1');
  });

  it('knows a domain that is released while it is being added as gone', async (test) => {
    const rig = await Rig.open(test, () => undefined);
    const honestly = (answer: Frame): readonly Buffer[] => rig.store.honestly(answer);
    rig.store.tamper = (answer, request) => {
      const isItsName = request.operation === 'READ' && request.payload.toString().startsWith('/local/domain/5/name');
      if (isItsName && rig.xen.domains.has(5)) rig.xen.destroy(5);
      return honestly(answer);
    };
    rig.xen.create(5, { name: 'brief' });
    await rig.to(2_000);
    assert.deepEqual(rig.heard().slice(1), ['came xen-host/brief:5', 'left xen-host/brief:5']);
    const watched = rig.store.last.session.watches.map(({ path }) => path);
    assert.deepEqual(
      watched.filter((path) => path.startsWith('/local/domain/5/')),
      [],
    );
  });

  it('costs xenstored few requests when domains come and go by the hundred', async (test) => {
    const rig = await Rig.open(test, () => undefined);
    const before = rig.countOf('DIRECTORY', '/local/domain');
    for (let at = 1; at <= 100; at += 1) {
      rig.xen.create(at);
      if (at > 1) rig.xen.destroy(at - 1);
      await rig.to(at * 10);
    }
    await rig.to(2_000);
    assert.ok(rig.countOf('DIRECTORY', '/local/domain') - before <= 13);
    assert.equal(rig.heard().at(-1), 'came xen-host/guest-100:100');
    const there = new Set<string>();
    for (const notice of rig.heard()) {
      const [what = '', id = ''] = notice.split(' ');
      if (what === 'came') there.add(id);
      else assert.ok(there.delete(id), `${id} left without having come`);
    }
    assert.deepEqual([...there], ['xen-host/Domain-0:0', 'xen-host/guest-100:100']);
  });
});

describe('many domains', () => {
  it('are all known, 200 at once and 200 more, and all leave', async (test) => {
    const rig = await Rig.open(test, (xen) => {
      for (let domid = 1; domid <= 200; domid += 1) xen.create(domid);
    });
    await until('all have come', () => rig.notices.length === 201);
    for (let domid = 201; domid <= 400; domid += 1) rig.xen.create(domid);
    await rig.to(1_000);
    await until('the others have come', () => rig.notices.length === 401);
    assert.equal(new Set(rig.heard()).size, 401);
    for (let domid = 1; domid <= 400; domid += 1) rig.xen.destroy(domid);
    await rig.to(2_000);
    assert.equal(rig.notices.length, 801);
    assert.ok(
      rig
        .heard()
        .slice(401)
        .every((notice) => notice.startsWith('left ')),
    );
    await rig.to(2_500);
    assert.equal(rig.store.last.session.watches.length, 5);
  });
});

describe('watching', () => {
  it('again tells first of those that are there, as they are called now', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }));
    rig.stopWatching();
    await rig.settle();
    rig.xen.put('/local/domain/1/name', 'uno');
    await rig.to(1_000);
    rig.xen.create(2, { name: 'two' });
    await rig.to(2_000);
    const again = rig.host.watchGuests(new AbortController().signal)[Symbol.asyncIterator]();
    const names: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      const next = await again.next();
      assert.ok(next.done !== true && next.value.kind === 'guest-came');
      names.push(next.value.guest.name);
    }
    assert.deepEqual(names, ['Domain-0', 'uno', 'two']);
  });

  it('that nobody listens to keeps one change for each domain, however many there are', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one' }), { isWatched: false });
    const listener = rig.host.watchGuests(new AbortController().signal)[Symbol.asyncIterator]();
    const next = async (): Promise<string> => {
      const told = await listener.next();
      if (told.done === true) return 'ended';
      return told.value.kind === 'guest-changed' ? `changed ${told.value.guest.name}` : told.value.kind;
    };
    assert.deepEqual([await next(), await next()], ['guest-came', 'guest-came']);
    await rig.settle();
    for (let count = 1; count <= 50; count += 1) {
      rig.xen.put('/local/domain/1/name', `name-${count}`);
      await rig.to(count * 200);
    }
    assert.equal(await next(), 'changed name-50');
    const last = next();
    await rig.host.close();
    assert.equal(await last, 'ended');
  });
});
