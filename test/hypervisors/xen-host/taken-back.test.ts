/** Protects the books of what guests may take again: who is gone is no part of them, also when another of the same name comes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TakenBack } from '../../../src/hypervisors/xen-host/taken-back.js';
import { pages } from '../../../src/units.js';

describe('what guests may take back', () => {
  it('is forgotten with the guest', () => {
    const takenBack = new TakenBack();
    const guest = { guest: 'xen-host/one:1', asked: pages(1_000) };
    const nobody = new Set<string>();
    takenBack.tell({ ...guest, held: pages(1_000) });
    const small = { ...guest, held: pages(400) };
    assert.equal(takenBack.of([small], nobody), 600);
    assert.equal(takenBack.of([], nobody), 0);
    assert.equal(takenBack.of([small], nobody), 0);
  });
});
