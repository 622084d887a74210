/** Protects a host's memory after the connection to xenstored was lost: what somebody else wrote meanwhile is known before a guest grows. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { gate, failsWith, ONE, openTwo, TARGET, TWO } from './support/two-domains.js';
import type { Rig } from './support/rig.js';

const HELD = 65_536;
/** A code after which the core keeps no promise. */
const NOT_SEEN = failsWith('EIO', /has not been looked at since the connection to xenstored/);

/** Both were looked at, and the connection was lost and made again since. */
async function reconnected(test: TestContext): Promise<Rig> {
  const rig = await openTwo(test);
  await rig.look([ONE, TWO]);
  await rig.cut();
  await rig.to(1_000);
  assert.equal(rig.told.length, 2);
  return rig;
}

describe('after the connection to xenstored was lost and is there again', () => {
  it('no guest grows before the host was looked at anew', async (test) => {
    const rig = await reconnected(test);
    await assert.rejects(rig.set(ONE, HELD + 10_000), NOT_SEEN);
    assert.equal(rig.xen.text(TARGET), '262144');
    assert.deepEqual(rig.xen.limitsSet, []);
    await rig.look([TWO]);
    await rig.set(ONE, HELD + 10_000);
    assert.equal(rig.xen.text(TARGET), `${(HELD + 10_000) * 4}`);
  });

  it('guests are told to keep what they hold, or less, at once', async (test) => {
    const rig = await reconnected(test);
    await rig.set(ONE, HELD);
    await rig.set(TWO, HELD - 10_000);
    assert.equal(rig.xen.text('/local/domain/2/memory/target'), `${(HELD - 10_000) * 4}`);
  });

  it('a look that was begun before the domains were read again does not count', async (test) => {
    const rig = await openTwo(test);
    await rig.look([ONE, TWO]);
    rig.isDown = true;
    await rig.cut();
    const slow = gate();
    rig.xen.beforeLook = () => slow.opened;
    const old = rig.look([ONE, TWO]);
    rig.isDown = false;
    await rig.to(2_000);
    slow.open();
    await old;
    await assert.rejects(rig.set(ONE, HELD + 10_000), NOT_SEEN);
    await rig.look([ONE, TWO]);
    await rig.set(ONE, HELD + 10_000);
  });

  it('a growth that follows from an older look does not count on one that ends while it waits its turn', async (test) => {
    const rig = await reconnected(test);
    rig.store.isHolding = true;
    const before = rig.set(ONE, HELD);
    const growth = assert.rejects(rig.set(ONE, HELD + 10_000), NOT_SEEN);
    await rig.settle();
    await rig.look([ONE, TWO]);
    rig.store.isHolding = false;
    rig.store.release();
    await before;
    await growth;
    assert.equal(rig.xen.text(TARGET), `${HELD * 4}`);
  });

  it('what somebody else told a guest meanwhile is not given to another', async (test) => {
    const rig = await openTwo(test);
    const before = (await rig.hostReading()).free;
    await rig.look([ONE, TWO]);
    await rig.cut();
    rig.xen.put('/local/domain/2/memory/target', `${(HELD + 20_000) * 4}`);
    await rig.to(1_000);
    const after = (await rig.hostReading()).free;
    assert.ok(before.known && after.known);
    assert.equal(after.value, before.value - 20_000);
  });
});
