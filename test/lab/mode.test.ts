/** Protects the rule that a real-hypervisor test is never passed over in silence. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LAB_VARIABLE, labMode, requireReady, SETUP_COMMAND, skipReason, type LabState } from '../../lab/mode.js';

const READY: LabState<string> = { kind: 'ready', lab: 'images' };
const MISSING: LabState<string> = { kind: 'missing', why: 'the Xen lab is not set up' };

describe('whether the lab is used', () => {
  it('is left to whether it is set up, when the environment says nothing', () => {
    assert.equal(labMode({}), 'if-ready');
    assert.equal(labMode({ [LAB_VARIABLE]: '' }), 'if-ready');
  });

  it('can be required or refused', () => {
    assert.equal(labMode({ [LAB_VARIABLE]: 'required' }), 'required');
    assert.equal(labMode({ [LAB_VARIABLE]: 'off' }), 'off');
  });

  it('is not guessed from a slip of the keyboard', () => {
    for (const value of ['1', 'require', 'OFF', 'no']) {
      assert.throws(() => labMode({ [LAB_VARIABLE]: value }), /neither required nor off/);
    }
  });
});

describe('a test that needs the lab', () => {
  it('runs where the lab is ready', () => {
    assert.equal(skipReason('if-ready', READY), false);
    assert.equal(skipReason('required', READY), false);
  });

  it('is skipped where the lab is missing, with the reason and the command that mends it', () => {
    const reason = skipReason('if-ready', MISSING);
    assert.ok(typeof reason === 'string');
    assert.ok(reason.includes('the Xen lab is not set up'));
    assert.ok(reason.includes(SETUP_COMMAND));
  });

  it('is not skipped where the lab is required and missing: it fails, and says what to do', () => {
    assert.equal(skipReason('required', MISSING), false);
    assert.throws(() => requireReady(MISSING), /the Xen lab is not set up; run `npm run lab:setup`/);
  });

  it('is skipped where the lab was left out, even if it is ready', () => {
    const reason = skipReason('off', READY);
    assert.ok(typeof reason === 'string');
    assert.ok(reason.includes(LAB_VARIABLE));
  });

  it('gets the lab that was found', () => {
    assert.equal(requireReady(READY), 'images');
  });
});
