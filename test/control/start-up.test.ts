/** Protects the start-up rule and the boot options; the recorded start-ups are replayed by the conformance test. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pickBootOptions, wantedBy } from '../../src/control/boot-options.js';
import { decideStartUp, type Situation, type StartUpRefusal } from '../../src/control/start-up.js';

const guest: Situation = {
  xenDomain: true,
  initialDomain: false,
  frontswapConfigured: true,
  tierPresent: true,
  bootOptions: [],
};

describe('start-up', () => {
  it('starts both controllers in a guest with an overflow tier', () => {
    assert.deepEqual(decideStartUp(guest), { result: 'ok', selfballooning: true, selfshrinking: true });
  });

  const refusals: readonly (readonly [string, Partial<Situation>, StartUpRefusal, RegExp])[] = [
    ['outside Xen', { xenDomain: false }, 'no-guest', /not a Xen guest/],
    [
      'in dom0',
      { initialDomain: true },
      'initial-domain',
      /initial domain \(dom0\), and self-ballooning is disabled there/,
    ],
    ['without an overflow tier', { tierPresent: false }, 'no-tier', /no overflow tier/],
    ['when nothing is wanted', { bootOptions: ['noselfballooning', 'noselfshrink'] }, 'not-wanted', /neither/],
    ['without frontswap and without being asked', { frontswapConfigured: false }, 'not-wanted', /neither/],
  ];
  for (const [name, change, cause, why] of refusals) {
    it(`is refused ${name}, and says why`, () => {
      const decided = decideStartUp({ ...guest, ...change });
      assert.ok(decided.result === 'ENODEV');
      assert.match(decided.why, why);
      assert.equal(decided.cause, cause);
    });
  }

  it('runs self-ballooning alone without frontswap, when it is asked for', () => {
    const decided = decideStartUp({ ...guest, frontswapConfigured: false, bootOptions: ['selfballooning'] });
    assert.deepEqual(decided, { result: 'ok', selfballooning: true, selfshrinking: false });
  });
});

describe('boot options', () => {
  it('are whole words of the command line', () => {
    assert.deepEqual(pickBootOptions(['quiet', 'noselfshrink', 'selfballooning=1', 'xselfballooning']), [
      'noselfshrink',
    ]);
    assert.deepEqual(pickBootOptions(['noselfshrink', 'selfballooning', 'noselfshrink']), [
      'selfballooning',
      'noselfshrink',
    ]);
  });

  it('say no where both were wanted, and yes where neither was', () => {
    assert.deepEqual(wantedBy(['noselfshrink'], true), { selfballooning: true, selfshrinking: false });
    assert.deepEqual(wantedBy([], false), { selfballooning: false, selfshrinking: false });
  });
});
