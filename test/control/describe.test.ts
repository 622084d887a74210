/** Protects what a person reads of a decision: it says nothing that nobody knows. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeReason } from '../../src/control/describe.js';

describe('the sentence for a guest that is held within its limits', () => {
  it('says what it needs where that is known', () => {
    const numbers = { goal: 51_200, committed: 40_960, reserve: 10_240 };
    assert.equal(
      describeReason({ code: 'clamped-to-ceiling', numbers }),
      'needs 200 MiB (160 MiB committed + 40 MiB kernel reserve), more than it may have',
    );
  });

  it('does not say that it needs anything where nothing is known', () => {
    const numbers = { goal: 51_200 };
    for (const code of ['clamped-to-ceiling', 'clamped-to-floor'] as const) {
      assert.match(describeReason({ code, numbers }), /administrator allows \(what it needs is not known\)$/);
    }
  });

  it('says what it is to have where its host has not that much, whoever wants it', () => {
    const numbers = { goal: 40_960, committed: 30_720, reserve: 10_240, wanted: 65_536 };
    assert.equal(
      describeReason({ code: 'clamped-to-host', numbers }),
      'is to have 256 MiB, more than its host has free now',
    );
  });
});
