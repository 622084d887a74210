/** Protects the host of QEMU machines from promising memory again that a guest was given and has not touched yet. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { ReadOutcome } from '../../../src/control/ports.js';
import { fixture } from '../../support/paths.js';
import { hostFolder } from './support/host-folder.js';
import { MIB, Rig } from './support/rig.js';

const GUEST = 'qmp/one';

async function opened(test: TestContext, root: string): Promise<(actualMib: number) => Promise<(string | number)[]>> {
  const rig = new Rig({ root });
  test.after(() => rig.host.close());
  const { machine } = await rig.addQemu(test, 'one');
  rig.watch();
  await rig.untilCame(1);
  return async (actualMib) => {
    machine.actual = actualMib * MIB;
    await rig.pass(5_000);
    return (await rig.look([GUEST])).map(told);
  };
}

/** In MiB: what is free, or what the guest holds. */
function told(outcome: ReadOutcome): string | number {
  if (outcome.kind === 'reading') return outcome.reading.current.known ? 'read' : 'unknown';
  if (outcome.kind !== 'host-reading') return outcome.kind;
  return outcome.host.free.known ? outcome.host.free.value / 256 : 'unknown';
}

describe('memory that a machine was given again', () => {
  it('is not free any more from the look on that sees it held, and before that look ends its promise', async (test) => {
    const lookAt = await opened(test, hostFolder(test, 60));
    const [free = NaN] = (await lookAt(512)).map(Number);
    assert.deepEqual(await lookAt(100), [free, 'read']);
    assert.deepEqual(await lookAt(200), [free, free - 100, 'read']);
    assert.deepEqual(await lookAt(200), [free - 100, 'read']);
    assert.deepEqual(await lookAt(100), [free - 100, 'read']);
    assert.deepEqual(await lookAt(100), [free, 'read']);
  });

  it('is free by its kernel’s word where nobody can tell what its QEMU has', async (test) => {
    const lookAt = await opened(test, fixture('xen-guest'));
    const [free = NaN] = (await lookAt(512)).map(Number);
    await lookAt(100);
    assert.deepEqual(await lookAt(200), [free, 'read']);
  });
});
