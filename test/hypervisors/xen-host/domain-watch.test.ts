/** Protects the host from a guest that writes: it is read ten times a second at most, whatever it writes, and others as ever. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Frame } from '../../../src/xenstore/codec.js';
import { emptyRecord } from '../../../src/hypervisors/xen-host/domain-record.js';
import { DomainWatch } from '../../../src/hypervisors/xen-host/domain-watch.js';
import { isDoneOver, PacedRead } from '../../../src/hypervisors/xen-host/paced-read.js';
import { VirtualClock } from '../../../src/sim/index.js';
import { millis } from '../../../src/units.js';
import { XenstoreError, type XenstoreCode } from '../../../src/xenstore/errors.js';
import type { Xenstore } from '../../../src/xenstore/index.js';
import { reportText } from '../../support/report-text.js';
import { REPORT, Rig } from './support/rig.js';
import { ONE, openTwo, TWO } from './support/two-domains.js';

const HOME = '/local/domain/1';

const committedOf = async (rig: Rig, guest: string): Promise<unknown> => {
  const { committed } = await rig.reading(guest);
  return committed.known ? committed.value : committed.reason;
};

/** Over a store made up by a test; nobody hears what it hands on. */
const silentWatch = (store: Xenstore): DomainWatch =>
  new DomainWatch({
    store,
    clock: new VirtualClock(),
    record: emptyRecord(1),
    onRecord: () => undefined,
    onDone: () => undefined,
  });

describe('a guest’s report', () => {
  it('is there from before we came, and is read when it changes', async (test) => {
    const rig = await Rig.open(test, (xen) => xen.create(1, { name: 'one', nodes: { [REPORT]: reportText(1) } }));
    assert.equal(await committedOf(rig, ONE), 20_000);
    await rig.to(5_000);
    rig.xen.put(`${HOME}/${REPORT}`, reportText(2, { committed: 40_000 }));
    await rig.settle();
    const { committed } = await rig.reading(ONE);
    assert.deepEqual(committed, { known: true, value: 10_000, at: 5_000 });
  });

  it('is known when the guest is told of, before any watch has said a word', async () => {
    const nodes = new Map([
      [`${HOME}/name`, 'one'],
      [`${HOME}/${REPORT}`, reportText(1)],
      [`${HOME}/memory/meminfo`, '4000'],
    ]);
    const store = {
      readText: (path: string) => Promise.resolve(nodes.get(path) ?? ''),
      watch: () => Promise.resolve(() => Promise.resolve()),
    } as unknown as Xenstore;
    const watch = silentWatch(store);
    await watch.begin();
    assert.equal(watch.record.reported?.report.beat, 1);
    assert.ok(watch.record.used.known);
  });

  it('that is removed, with its folder too, is reported no more', async (test) => {
    const rig = await openTwo(test);
    for (const gone of [REPORT, 'data/selfballoon', 'data']) {
      rig.xen.put(`${HOME}/${REPORT}`, reportText(1));
      await rig.to(rig.clock.now() + 1_000);
      assert.equal(await committedOf(rig, ONE), 20_000);
      rig.xen.remove(`${HOME}/${gone}`);
      await rig.to(rig.clock.now() + 1_000);
      assert.equal(await committedOf(rig, ONE), 'not-reported');
    }
  });

  it('of bytes that are no text is malformed, not gone: nobody is alarmed', async (test) => {
    const rig = await openTwo(test);
    rig.xen.put(`${HOME}/${REPORT}`, reportText(1));
    await rig.to(1_000);
    rig.xen.store.world.store.write(`${HOME}/${REPORT}`, Buffer.from([0xff, 0xfe, 0x80]), 0);
    rig.xen.store.fire(`${HOME}/${REPORT}`);
    await rig.to(2_000);
    assert.equal(await committedOf(rig, ONE), 20_000);
    assert.ok(rig.notices.every(({ kind }) => kind !== 'guest-alarm'));
  });

  it('that is written as often as it can be is read ten times a second, and at last as it was at last', async (test) => {
    const rig = await openTwo(test);
    await rig.to(1_000);
    const before = rig.countOf('READ', `${HOME}/${REPORT}`);
    let beat = 0;
    for (let at = 1_000; at <= 3_000; at += 10) {
      for (let count = 0; count < 20; count += 1) {
        beat += 1;
        rig.xen.put(`${HOME}/${REPORT}`, reportText(beat, { committed: beat * 4 }));
      }
      await rig.to(at);
    }
    assert.ok(rig.countOf('READ', `${HOME}/${REPORT}`) - before <= 21);
    await rig.to(3_200);
    assert.equal(await committedOf(rig, ONE), beat);
  });

  it('with any number of nodes below it costs nothing, and the others are heard as ever', async (test) => {
    const rig = await openTwo(test);
    await rig.to(1_000);
    const before = rig.store.requests.length;
    for (let count = 0; count < 10_000; count += 1) rig.store.fire(`${HOME}/${REPORT}/${count}`);
    await rig.settle();
    await rig.to(2_000);
    assert.ok(rig.store.requests.length - before <= 3, `${rig.store.requests.length - before} requests`);
    rig.xen.put(`/local/domain/2/${REPORT}`, reportText(1));
    await rig.to(2_200);
    assert.equal(await committedOf(rig, TWO), 20_000);
  });

  it('of 100 KB, of the most that xenstore takes, or of garbage is malformed, and the guest’s own harm', async (test) => {
    const rig = await openTwo(test);
    rig.xen.put(`/local/domain/2/${REPORT}`, reportText(1));
    for (const text of [' '.repeat(4_000), '{', '[]', 'null', '\u0000', '"v"', `{"v":1,"beat":${'9'.repeat(400)}}`]) {
      rig.xen.put(`${HOME}/${REPORT}`, text);
      await rig.to(rig.clock.now() + 500);
      assert.match(String(await committedOf(rig, ONE)), /malformed|not-reported/, text.slice(0, 20));
      assert.equal(await committedOf(rig, TWO), 20_000);
    }
    assert.deepEqual(rig.told, []);
  });

  it('longer than the protocol has ends the connection to one that lies, which is then made again', async (test) => {
    const rig = await openTwo(test);
    const header = Buffer.alloc(16);
    header.writeUInt32LE(2, 0);
    header.writeUInt32LE(100_000, 12);
    rig.store.send(header, Buffer.alloc(100_000));
    await rig.to(10_000);
    assert.equal(rig.told.length, 2);
    assert.deepEqual(rig.heard().length, 3);
  });

  it('tells an alarm once, with what the guest says of itself', async (test) => {
    const rig = await openTwo(test);
    rig.xen.put(`${HOME}/${REPORT}`, reportText(1));
    await rig.to(1_000);
    rig.xen.put(`${HOME}/${REPORT}`, reportText(2, { alarms: 1, alarm: 'low' }));
    await rig.to(2_000);
    rig.xen.put(`${HOME}/${REPORT}`, reportText(3, { alarms: 1, alarm: 'low' }));
    await rig.to(3_000);
    const alarms = rig.notices.filter(({ kind }) => kind === 'guest-alarm');
    assert.deepEqual(alarms, [
      {
        kind: 'guest-alarm',
        guest: ONE,
        alarm: { cause: 'low', at: 1_000, availablePages: 40_000, totalPages: 60_000 },
      },
    ]);
  });

  it('tells of the alarm that came while the connection was lost', async (test) => {
    const rig = await openTwo(test);
    rig.xen.put(`${HOME}/${REPORT}`, reportText(1));
    await rig.to(1_000);
    rig.isDown = true;
    await rig.cut();
    rig.xen.put(`${HOME}/${REPORT}`, reportText(2, { alarms: 1, alarm: 'low' }));
    rig.isDown = false;
    await rig.to(10_000);
    assert.equal(rig.notices.filter(({ kind }) => kind === 'guest-alarm').length, 1);
  });
});

describe('a watch that has ended', () => {
  it('hands on nothing of what was being read, and does not know the report', async () => {
    const answers: ((text: string) => void)[] = [];
    const store = { readText: () => new Promise((resolve) => answers.push(resolve)) } as unknown as Xenstore;
    const handed: unknown[] = [];
    const watch = new DomainWatch({
      store,
      clock: new VirtualClock(),
      record: emptyRecord(1),
      onRecord: (record) => handed.push(record),
      onDone: (what) => handed.push(what),
    });
    const reading = watch.readReportAgain();
    watch.end();
    for (const answer of answers) answer(reportText(1));
    assert.equal(await reading, false);
    assert.deepEqual(handed, []);
    assert.equal(watch.record.reported, null);
  });
});

describe('a watch that is set up when it has ended', () => {
  it('is taken away: nobody else would', async () => {
    let isSetUp = (): void => undefined;
    const removed: string[] = [];
    const store = {
      readText: () => Promise.resolve(''),
      watch: (path: string) =>
        new Promise((resolve) => {
          isSetUp = () => {
            resolve(() => Promise.resolve(removed.push(path)));
          };
        }),
    } as unknown as Xenstore;
    const watch = silentWatch(store);
    const begun = watch.begin();
    await new Promise((resolve) => setImmediate(resolve));
    watch.end();
    isSetUp();
    await Promise.race([begun, new Promise((resolve) => setImmediate(resolve))]);
    assert.equal(removed.length, 1);
  });
});

describe('a guest that may write its own size of use', () => {
  const USED = `${HOME}/memory/meminfo`;
  const usedOf = async (rig: Rig): Promise<unknown> => {
    const { used } = await rig.reading(ONE);
    return used.known ? used.value : used.reason;
  };

  it('is heard', async (test) => {
    const rig = await openTwo(test);
    assert.equal(await usedOf(rig), 'not-reported');
    rig.xen.put(USED, '102400');
    await rig.to(1_000);
    assert.equal(await usedOf(rig), 25_600);
    rig.xen.put(USED, 'much');
    await rig.to(2_000);
    assert.equal(await usedOf(rig), 'malformed');
  });

  it('is known to have taken it away with the folder that it was in', async (test) => {
    const rig = await openTwo(test);
    rig.xen.put(USED, '102400');
    await rig.to(1_000);
    rig.store.world.store.remove(`${HOME}/memory`, 0);
    rig.store.fire(`${HOME}/memory`);
    await rig.to(2_000);
    assert.equal(await usedOf(rig), 'not-reported');
  });

  it('is read ten times a second at most, and its limits not at all for that', async (test) => {
    const rig = await openTwo(test);
    await rig.to(1_000);
    const [used, sizes] = [rig.countOf('READ', USED), rig.countOf('READ', `${HOME}/memory/target`)];
    for (let at = 1_000; at <= 3_000; at += 10) {
      for (let count = 0; count < 20; count += 1) rig.xen.put(USED, `${at + count}`);
      await rig.to(at);
    }
    await rig.to(3_200);
    assert.ok(rig.countOf('READ', USED) - used <= 22);
    assert.equal(rig.countOf('READ', `${HOME}/memory/target`), sizes);
    assert.equal(await usedOf(rig), Math.floor(3_019 / 4));
  });

  it('and makes nodes below it without end is not looked at for them', async (test) => {
    const rig = await openTwo(test);
    await rig.to(1_000);
    const before = rig.store.requests.length;
    for (let count = 0; count < 3_000; count += 1) rig.store.fire(`${USED}/${count}`);
    await rig.to(2_000);
    assert.equal(rig.store.requests.length, before);
  });

  it('or anything else in its memory folder is read ten times a second at most', async (test) => {
    const rig = await openTwo(test);
    await rig.to(1_000);
    const before = rig.countOf('READ', `${HOME}/memory/target`);
    for (let at = 1_000; at <= 3_000; at += 10) {
      for (let count = 0; count < 20; count += 1) rig.store.fire(`${HOME}/memory/${at}-${count}`);
      await rig.to(at);
    }
    assert.ok(rig.countOf('READ', `${HOME}/memory/target`) - before <= 21);
  });
});

describe('reading at a pace', () => {
  it('reads at once, and once more for all that changed meanwhile', async () => {
    const clock = new VirtualClock();
    const at: number[] = [];
    const read = (): Promise<boolean> => {
      at.push(clock.now());
      return Promise.resolve(true);
    };
    const paced = new PacedRead(read, clock, new AbortController().signal);
    for (let count = 0; count < 5; count += 1) void paced.ask();
    await clock.advanceTo(millis(1_000));
    void paced.ask();
    await clock.advanceTo(millis(1_050));
    void paced.ask();
    await clock.advanceTo(millis(2_000));
    assert.deepEqual(at, [0, 100, 1_000, 1_100]);
  });

  it('tries again a second after a failure, and ends with its signal', async () => {
    const clock = new VirtualClock();
    const ending = new AbortController();
    let tries = 0;
    const paced = new PacedRead(() => Promise.resolve((tries += 1) < 0), clock, ending.signal);
    const asked = paced.ask();
    await clock.advanceTo(millis(5_500));
    assert.equal(tries, 6);
    ending.abort();
    await asked;
    await paced.ask();
    assert.equal(tries, 6);
  });

  it('passes on what is a fault of ours, and can be used again', async () => {
    const clock = new VirtualClock();
    let isBroken = true;
    const paced = new PacedRead(
      () => (isBroken ? Promise.reject(new Error('a fault')) : Promise.resolve(true)),
      clock,
      new AbortController().signal,
    );
    await assert.rejects(paced.ask(), /a fault/);
    isBroken = false;
    const asked = paced.ask();
    await clock.advanceTo(millis(100));
    await asked;
  });

  it('is not done where xenstored was silent or refused, and is over with the connection', async () => {
    const failing = (xenstoreCode: XenstoreCode): Promise<void> =>
      Promise.reject(new XenstoreError({ xenstoreCode, message: 'a test' }));
    assert.equal(await isDoneOver(Promise.resolve()), true);
    assert.equal(await isDoneOver(failing('ETIMEDOUT')), false);
    assert.equal(await isDoneOver(failing('ENOMEM')), false);
    assert.equal(await isDoneOver(failing('EUNAVAILABLE')), true);
    await assert.rejects(isDoneOver(Promise.reject(new Error('a fault'))), /a fault/);
  });

  it('of a node whose answer was lost with the connection is done over the next one', async (test) => {
    const rig = await openTwo(test);
    await rig.to(1_000);
    const honestly = (answer: Frame): readonly Buffer[] => rig.store.honestly(answer);
    rig.store.tamper = (answer, request) => {
      const isTarget = request.operation === 'READ' && request.payload.toString().startsWith(`${HOME}/memory/target`);
      return isTarget ? [] : honestly(answer);
    };
    const connection = rig.store.last;
    rig.xen.put(`${HOME}/memory/target`, '200000');
    await rig.settle();
    rig.store.tamper = honestly;
    connection.socket.destroy();
    await rig.to(10_000);
    const { asked } = await rig.reading(ONE);
    assert.ok(asked.known && asked.value === 50_000);
  });
});
