/** Protects how a pressure trigger is set: what is written, what is tried next, and that nothing but the kernel's file is written to. */
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { setTrigger, triggerText, widenTrigger, type TriggerSettings } from '../../src/signals/trigger-file.js';
import { millis } from '../../src/units.js';
import { useSeed } from '../support/seed.js';
import { temporaryFolder, writeRoot } from './proc-roots.js';

useSeed();

const PRESSURE = '/proc/pressure/memory';
const settings = (stall: number, window: number): TriggerSettings => ({ stall: millis(stall), window: millis(window) });
const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

/** Why no trigger can be set on this machine; false where one can. */
function whyNotHere(): string | false {
  const outcome = setTrigger(PRESSURE, settings(150, 2000));
  if (outcome.kind === 'refused') return outcome.why;
  closeSync(outcome.descriptor);
  return false;
}
const skip = whyNotHere();

describe('the text of a pressure trigger', () => {
  it('counts microseconds and ends with NUL', () => {
    assert.equal(triggerText(settings(100, 1000)), 'some 100000 1000000\0');
    assert.equal(triggerText(settings(0.5, 500)), 'some 500 500000\0');
  });
});

describe('a trigger for a process without privileges', () => {
  it('has a window of full 2 s, and half as much again of waiting', () => {
    const widened = (stall: number, window: number): unknown => widenTrigger(settings(stall, window));
    assert.deepEqual(widened(100, 1000), { stall: 150, window: 2000 });
    assert.deepEqual(widened(500, 500), { stall: 750, window: 2000 });
    assert.deepEqual(widened(100, 2001), { stall: 150, window: 4000 });
    assert.deepEqual(widened(9000, 9000), { stall: 10_000, window: 10_000 });
  });

  it('is no other one where the window is of full 2 s already', () => {
    for (const window of [2000, 4000, 10_000]) assert.equal(widenTrigger(settings(100, window)), null);
  });

  it('is always one that the kernel takes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 500, max: 10_000 }),
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        (window, part) => {
          const wide = widenTrigger(settings(window * part, window));
          if (wide === null) return;
          assert.equal(wide.window % 2000, 0);
          assert.ok(wide.stall > 0 && wide.stall <= wide.window && wide.window <= 10_000 && wide.window > window);
        },
      ),
    );
  });
});

describe('setting a trigger', () => {
  it('leaves a file that is not the kernel’s as it is, and says so', (test) => {
    const text = 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n';
    const path = join(writeRoot(test, { 'proc/pressure/memory': text }), 'proc/pressure/memory');
    const before = openDescriptors();
    assert.deepEqual(setTrigger(path, settings(100, 1000)), {
      kind: 'refused',
      why: `${path} is not the kernel's file`,
      isForGood: true,
    });
    assert.equal(readFileSync(path, 'utf8'), text);
    assert.equal(openDescriptors(), before);
  });

  it('says what is missing where there is no such file', (test) => {
    const root = temporaryFolder(test);
    for (const path of [join(root, 'memory'), '/proc/version/memory']) {
      const outcome = setTrigger(path, settings(100, 1000));
      assert.ok(outcome.kind === 'refused' && outcome.isForGood);
      assert.match(outcome.why, /no memory pressure \(PSI\); boot it with psi=1/);
    }
  });

  it('tries again later what may go away by itself', (test) => {
    const folder = join(temporaryFolder(test), 'memory');
    mkdirSync(folder);
    const outcome = setTrigger(folder, settings(100, 1000));
    assert.ok(outcome.kind === 'refused' && !outcome.isForGood);
    assert.match(outcome.why, /EISDIR/);
  });

  it('gives its descriptor back when a kernel file takes no trigger', () => {
    const before = openDescriptors();
    assert.equal(setTrigger('/proc/version', settings(100, 1000)).kind, 'refused');
    assert.equal(openDescriptors(), before);
  });

  it('takes on this kernel what was asked for, or what anybody may set', { skip }, () => {
    const outcome = setTrigger(PRESSURE, settings(100, 1000));
    assert.ok(outcome.kind === 'set');
    closeSync(outcome.descriptor);
    const { stall, window } = outcome.settings;
    assert.ok([100, 150].includes(stall) && window === stall * (stall === 100 ? 10 : 40 / 3));
  });

  it('is refused by this kernel when the stall cannot fit into the window', { skip }, () => {
    const before = openDescriptors();
    const outcome = setTrigger(PRESSURE, settings(2001, 2000));
    assert.ok(outcome.kind === 'refused' && outcome.isForGood);
    assert.match(outcome.why, /takes no such trigger \(EINVAL/);
    assert.equal(openDescriptors(), before);
  });
});
