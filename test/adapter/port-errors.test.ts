/** Protects what a hypervisor's port rejects with: codes for programs, and for a person which guest it was and what was being done. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asHypervisorError, noOverflow, targetTooSlow } from '../../src/adapter/port-errors.js';
import { HypervisorError, SelfballoonError } from '../../src/errors.js';

describe('whatever went wrong', () => {
  it('says what was being done to whom, and keeps its cause', () => {
    const cause = new Error('no such file');
    const error = asHypervisorError(cause, { doing: 'asking for 4 KiB', guest: 'kind/web' });
    assert.equal(error.message, 'guest kind/web: asking for 4 KiB: no such file');
    assert.deepEqual([error.code, error.guest, error.cause], ['EIO', 'kind/web', cause]);
  });

  it('is of no guest where it was done to all', () => {
    const error = asHypervisorError('?', { doing: 'looking at all' });
    assert.deepEqual([error.message, error.guest], ['looking at all: ?', undefined]);
  });

  it('keeps a code of ours, and is what it was where it can cross the border', () => {
    const ours = new SelfballoonError({ code: 'EGONE', message: 'it went' });
    assert.equal(asHypervisorError(ours, { doing: 'looking' }).code, 'EGONE');
    const error = new HypervisorError({ code: 'EPERM', message: 'no' });
    assert.equal(asHypervisorError(error, { doing: 'looking', guest: 'kind/web' }), error);
  });
});

describe('what a port rejects with', () => {
  it('has advice that is right for the hypervisor', () => {
    assert.match(
      targetTooSlow('kind/web', 7, 'Is it stopped?').message,
      /7 pages had no answer in time\. Is it stopped\?/,
    );
    assert.match(noOverflow('kind/web', 'its host').message, /cannot be shrunk from its host\. Run/);
  });
});
