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

  it('is counted from what the guest may hold by the books, not from what it held: it may take its promise on top', () => {
    const takenBack = new TakenBack();
    const guest = 'xen-host/one:1';
    // The books count 600 as promised.
    takenBack.tell({ guest, held: pages(400), asked: pages(1_000) });
    // Since then it gave 300 up, and somebody else asks it for less.
    const small = { guest, held: pages(100), asked: pages(300) };
    assert.equal(takenBack.of([small], new Set<string>()), 300);
  });

  it('is what it was told before where that was not known when it was heard of', () => {
    const takenBack = new TakenBack();
    const guest = 'xen-host/one:1';
    takenBack.tell({ guest, held: pages(400), asked: null });
    const now = { guest, held: pages(400), asked: pages(1_000) };
    assert.equal(takenBack.of([now], new Set<string>()), 0, 'the books count 600 as promised, by what is known now');
    assert.equal(takenBack.of([{ ...now, held: pages(100) }], new Set<string>()), 300);
  });
});
