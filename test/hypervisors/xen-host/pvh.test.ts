/** Protects guests of which Xen counts pages that no target does, and whose memory is not all there before it is touched. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { HypervisorError } from '../../../src/errors.js';
import { Rig } from './support/rig.js';
import { failsWith, ONE, TARGET } from './support/two-domains.js';

const UNCOUNTED_KIB = 64;

const openOne = (test: TestContext): Promise<Rig> =>
  Rig.open(test, (xen) => {
    xen.create(1, { name: 'one', held: 262_144 + UNCOUNTED_KIB, target: 262_144 });
  });

async function heldIn(rig: Rig): Promise<number> {
  const { current } = await rig.reading(ONE);
  assert.ok(current.known);
  return current.value;
}

describe('a PVH guest', () => {
  it('holds what it was asked to hold, at rest and before it has moved', async (test) => {
    const rig = await openOne(test);
    assert.equal(await heldIn(rig), 65_536);
    await rig.set(ONE, 50_000);
    assert.equal(await heldIn(rig), 65_536);
  });

  it('has memory ready for all that it is to have, within Xen’s limit, before it hears of it', async (test) => {
    const rig = await openOne(test);
    await heldIn(rig);
    const order: string[] = [];
    rig.xen.beforeReady = () => {
      order.push(`target ${rig.xen.text(TARGET)}, limit ${rig.xen.domains.get(1)?.limit}`);
      return Promise.resolve();
    };
    await rig.set(ONE, 131_072);
    assert.deepEqual(rig.xen.madeReady, [{ domid: 1, total: 131_072 + UNCOUNTED_KIB / 4 }]);
    assert.deepEqual(order, ['target 262144, limit 525312']);
    assert.equal(rig.xen.text(TARGET), '524288');
  });

  it('is not told of a target for which there is no memory, and Xen’s limit goes back', async (test) => {
    const rig = await openOne(test);
    await heldIn(rig);
    rig.xen.beforeReady = () => Promise.reject(new HypervisorError({ code: 'EIO', message: 'no memory is ready' }));
    await assert.rejects(rig.set(ONE, 131_072), failsWith('EIO', /no memory is ready/));
    assert.equal(rig.xen.text(TARGET), '262144');
    assert.equal(rig.xen.domains.get(1)?.limit, 262_144 + 1_024);
  });
});
