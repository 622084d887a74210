/** Protects what the doctor says of the watch between two rounds: which trigger works, what is missing, and that it changes nothing. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { checkAlarms } from '../../src/cli/doctor/pressure.js';
import type { SetTrigger, TriggerSettings } from '../../src/signals/trigger-file.js';
import { millis } from '../../src/units.js';
import { fakeMemory } from '../signals/alarm-roots.js';
import { temporaryFolder } from '../signals/proc-roots.js';

const trigger: TriggerSettings = { stall: millis(100), window: millis(1000) };
const wide: TriggerSettings = { stall: millis(150), window: millis(2000) };
const watched = { isWatched: true, trigger };

/** A kernel that takes this trigger, whatever it is asked for. */
const takes =
  (settings: TriggerSettings): SetTrigger =>
  () => ({ kind: 'set', descriptor: openSync('/dev/null', 'r'), settings });

describe('the doctor on the watch between two rounds', () => {
  it('says which trigger can be set, and that memory can be read', (test) => {
    const { root } = fakeMemory(test, 100, 50);
    const [first, second] = checkAlarms(root, watched, takes(trigger));
    assert.deepEqual(
      [first?.level, first?.what],
      ['ok', 'a pressure trigger can be set: 100 ms of waiting within 1000 ms'],
    );
    assert.deepEqual([second?.level, second?.what], ['ok', 'available memory can be watched between two rounds']);
  });

  it('warns when only the slower trigger of an unprivileged process can be set', (test) => {
    const { root } = fakeMemory(test, 100, 50);
    const [finding] = checkAlarms(root, watched, takes(wide));
    assert.equal(finding?.level, 'warn');
    assert.match(finding.what, /150 ms of waiting within 2000 ms, but not 100 ms within 1000 ms$/);
    assert.match(finding.advice ?? '', /CAP_SYS_RESOURCE/);
  });

  it('warns of each of the two that is missing, with the reason', (test) => {
    const findings = checkAlarms(temporaryFolder(test), watched);
    assert.deepEqual(
      findings.map(({ level }) => level),
      ['warn', 'warn'],
    );
    assert.match(findings[0]?.what ?? '', /^no pressure trigger can be set: .*psi=1/);
    assert.match(findings[1]?.what ?? '', /^available memory cannot be watched \(there is no /);
  });

  it('warns when the watch is switched off, and then tries nothing', (test) => {
    const set: SetTrigger = () => {
      throw new Error('nobody asked for a trigger');
    };
    const findings = checkAlarms(fakeMemory(test, 100, 50).root, { ...watched, isWatched: false }, set);
    assert.deepEqual(
      findings.map(({ level, what }) => [level, what]),
      [['warn', 'nothing is looked at between two rounds (pressure.watch is false)']],
    );
  });

  it('leaves no trigger set on this machine', () => {
    closeSync(openSync('/dev/null', 'r'));
    const before = readdirSync('/proc/self/fd').length;
    checkAlarms('/', watched);
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });
});
