/** Protects a guest whose reporter is dead: it is told of once for each silence, and our own deafness is not taken for its silence. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { known, knownAt } from '../../../src/control/signal.js';
import { emptyRecord, readingOf } from '../../../src/hypervisors/xen-host/domain-record.js';
import { encodeFrame } from '../../../src/xenstore/codec.js';
import { kib, millis, pages } from '../../../src/units.js';
import { reportText } from '../../support/report-text.js';
import { REPORT, type Rig } from './support/rig.js';
import { failsWith, ONE, openTwo, TWO } from './support/two-domains.js';

const silent = (rig: Rig): readonly string[] =>
  rig.notices.flatMap((notice) =>
    notice.kind === 'guest-alarm' && notice.alarm.cause === 'silent' ? [`${notice.guest} at ${notice.alarm.at}`] : [],
  );

/** Looks every second until `at`, as the loop does, while these domains report. */
async function lookUntil(rig: Rig, at: number, reporting: readonly number[]): Promise<void> {
  for (let now = rig.clock.now() + 1_000; now <= at; now += 1_000) {
    for (const domid of reporting) rig.xen.put(`/local/domain/${domid}/${REPORT}`, reportText(now));
    await rig.to(now);
    await rig.look([ONE, TWO]);
    await rig.settle();
  }
}

describe('a guest that reports no more', () => {
  it('is told of after 30 s, once, and again when it was heard of in between', async (test) => {
    const rig = await openTwo(test);
    await lookUntil(rig, 5_000, [1, 2]);
    await lookUntil(rig, 120_000, [2]);
    assert.deepEqual(silent(rig), [`${ONE} at 35000`]);
    await lookUntil(rig, 125_000, [1, 2]);
    await lookUntil(rig, 200_000, [2]);
    assert.deepEqual(silent(rig), [`${ONE} at 35000`, `${ONE} at 155000`]);
  });

  it('is told of at once when its report is taken away, and the ones that never reported are not', async (test) => {
    const rig = await openTwo(test);
    await lookUntil(rig, 5_000, [1]);
    rig.xen.remove(`/local/domain/1/${REPORT}`);
    await lookUntil(rig, 120_000, []);
    assert.equal(silent(rig).length, 1);
    assert.match(silent(rig)[0] ?? '', new RegExp(`^${ONE} `));
  });

  it('is not told of for our own lost connection: nobody was listening', async (test) => {
    const rig = await openTwo(test);
    await lookUntil(rig, 5_000, [1, 2]);
    rig.isDown = true;
    await rig.cut();
    await lookUntil(rig, 100_000, [1, 2]);
    rig.isDown = false;
    await lookUntil(rig, 160_000, [1, 2]);
    assert.deepEqual(silent(rig), []);
    assert.equal(rig.told.length, 2);
  });

  it('is told of 30 s after the connection is found, when it went silent meanwhile', async (test) => {
    const rig = await openTwo(test);
    await lookUntil(rig, 5_000, [1, 2]);
    rig.isDown = true;
    await rig.cut();
    await lookUntil(rig, 100_000, [2]);
    rig.isDown = false;
    await lookUntil(rig, 200_000, [2]);
    assert.equal(silent(rig).length, 1);
    const at = Number(silent(rig)[0]?.split(' ').at(-1));
    assert.ok(at > 130_000 && at <= 140_000, `${at} ms`);
  });

  it('is not told of when it was we who stood still: what came meanwhile is read first', async (test) => {
    const rig = await openTwo(test);
    await lookUntil(rig, 5_000, [1, 2]);
    await rig.clock.advanceTo(millis(45_000));
    rig.xen.put(`/local/domain/1/${REPORT}`, reportText(45_000));
    await rig.look([ONE, TWO]);
    await rig.settle();
    assert.deepEqual(silent(rig), [`${TWO} at 45000`]);
    await lookUntil(rig, 60_000, [1]);
    assert.equal(silent(rig).length, 1);
  });

  it('is not told of where its report cannot be read any more', async (test) => {
    const rig = await openTwo(test);
    await lookUntil(rig, 5_000, [1, 2]);
    rig.store.tamper = (answer, request) =>
      request.operation === 'READ'
        ? [encodeFrame({ ...request, operation: 'ERROR', payload: Buffer.from('EIO\0') })]
        : rig.store.honestly(answer);
    await lookUntil(rig, 100_000, [1, 2]);
    assert.deepEqual(silent(rig), []);
  });
});

describe('an xenstored that hangs', () => {
  it('is told of as lost after 5 s, no guest is taken for silent, and all goes on when it answers', async (test) => {
    const rig = await openTwo(test);
    await lookUntil(rig, 5_000, [1, 2]);
    rig.store.isHolding = true;
    await lookUntil(rig, 12_000, [1, 2]);
    assert.equal(rig.told.length, 1);
    assert.match(
      rig.told[0] ?? '',
      /xenstored is lost: xenstored has not answered for 5 s\..*xenstore-ls.*connecting again/,
    );
    await assert.rejects(rig.set(ONE, 50_000, AbortSignal.timeout(50)));
    await lookUntil(rig, 120_000, [1, 2]);
    assert.equal(rig.told.length, 1);
    assert.deepEqual(silent(rig), []);
    rig.store.held.length = 0;
    rig.store.isHolding = false;
    await lookUntil(rig, 140_000, [1, 2]);
    assert.match(rig.told[1] ?? '', /connected to again/);
    await rig.set(ONE, 50_000);
    await lookUntil(rig, 200_000, [1, 2]);
    assert.deepEqual(silent(rig), []);
    assert.equal(rig.store.connections.filter(({ socket }) => !socket.destroyed).length, 1);
    assert.equal(rig.told.length, 2);
  });

  it('costs one line, and no domain is blamed whose folder was being read when it began', async (test) => {
    const rig = await openTwo(test);
    await lookUntil(rig, 5_000, [1, 2]);
    rig.store.isHolding = true;
    for (const domid of [1, 2]) rig.xen.put(`/local/domain/${domid}/memory/target`, '200000');
    await rig.settle();
    await rig.to(5_040);
    const asked = assert.rejects(
      rig.set(ONE, 50_000),
      failsWith('EUNAVAILABLE', /is lost \(xenstored has not answered/),
    );
    await rig.look([ONE, TWO]);
    await rig.to(10_020);
    assert.equal(rig.told.join(), '');
    const [unreached, ...more] = rig.host.unreached?.() ?? [];
    assert.match(unreached ?? '', /^the domains of this host: xenstored has not answered READ/);
    assert.deepEqual(more, []);
    await lookUntil(rig, 20_000, [1, 2]);
    await asked;
    rig.store.held.length = 0;
    rig.store.isHolding = false;
    await lookUntil(rig, 120_000, [1, 2]);
    assert.equal(rig.told.length, 2, rig.told.join('\n'));
    assert.match(rig.told[0] ?? '', /is lost: xenstored has not answered for 5 s/);
    assert.deepEqual(rig.host.unreached?.(), []);
  });

  it('is noticed also where the look hangs with it', async (test) => {
    const rig = await openTwo(test);
    rig.xen.beforeLook = () => new Promise(() => undefined);
    rig.store.isHolding = true;
    void rig.look([ONE]).catch(() => undefined);
    await rig.to(6_000);
    assert.match(rig.told.join(), /has not answered/);
  });
});

describe('the one number of Qubes’ guests', () => {
  const sight = { domid: 1, held: kib(262_144), maximum: null, isDying: false };
  const record = { ...emptyRecord(1), staticMax: known(pages(131_072)), used: knownAt(pages(25_600), millis(5_000)) };

  it('is true until it changes, for ten minutes', () => {
    assert.deepEqual(readingOf(record, sight, millis(605_000)).used, { known: true, value: 25_600, at: 605_000 });
    assert.deepEqual(readingOf(record, sight, millis(605_001)).used, { known: true, value: 25_600, at: 5_000 });
  });
});
