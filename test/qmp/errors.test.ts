import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SelfballoonError } from '../../src/errors.js';
import { connectionGone, gaveUp, QMP_CLASSES, QmpError, refused } from '../../src/qmp/errors.js';

const ASKED = { command: 'balloon', at: '/run/vm1.qmp' };

describe('a refusal by QEMU', () => {
  it('keeps each class that the protocol knows', () => {
    const names = 'GenericError CommandNotFound DeviceNotActive DeviceNotFound KVMMissingCap';
    assert.deepEqual(QMP_CLASSES, names.split(' '));
    for (const name of QMP_CLASSES) {
      const error = refused(ASKED, name, 'not now');
      assert.equal(error.qmpCode, 'EREFUSED');
      assert.equal(error.class, name);
      assert.match(error.message, new RegExp(`QEMU on /run/vm1\\.qmp refused balloon: ${name}, "not now"`));
      assert.equal(error.mayHaveHappened, false);
    }
  });

  it('is an error of the program like any other', () => {
    const own = {
      GenericError: 'EIO',
      CommandNotFound: 'ENODEV',
      DeviceNotActive: 'ENODEV',
      DeviceNotFound: 'ENOENT',
      KVMMissingCap: 'ENODEV',
      Unheard: 'EIO',
    };
    for (const [name, code] of Object.entries(own)) {
      const error = refused(ASKED, name, '');
      assert.ok(error instanceof SelfballoonError);
      assert.equal(error.code, code);
    }
  });

  it('says what to do where there is something to do', () => {
    for (const name of QMP_CLASSES.slice(1)) assert.ok((refused(ASKED, name, '').advice ?? '').length > 20, name);
  });

  it('with a class that nobody knows is one all the same, cut and quoted', () => {
    const error = refused(ASKED, `New\u001b[2J${'x'.repeat(10_000)}`, `more\u001b[2J${'y'.repeat(10_000)}`);
    assert.equal(error.class, 'unknown');
    assert.match(error.message, /unknown error "New\\u001b\[2J/);
    assert.match(error.message, /"more\\u001b\[2J/);
    assert.ok(error.message.length < 600);
  });

  it('does not take a class for known because objects have it', () => {
    for (const name of ['', 'constructor', '__proto__', 'unknown', 'EPROTO']) {
      assert.equal(refused(ASKED, name, '').class, 'unknown');
    }
  });
});

describe('what is not a refusal', () => {
  it('has no class, and tells whether it may have happened all the same', () => {
    const why = new QmpError({ qmpCode: 'EPROTO', message: 'nonsense came' });
    for (const wasSent of [true, false]) {
      for (const error of [gaveUp(ASKED, wasSent, null), connectionGone(ASKED, wasSent, null)]) {
        assert.equal(error.class, null);
        assert.equal(error.mayHaveHappened, wasSent);
      }
    }
    assert.equal(connectionGone(ASKED, true, why).cause, why);
    assert.match(connectionGone(ASKED, true, why).message, /is lost \(nonsense came\)/);
  });

  it('can be told apart by its code', () => {
    assert.equal(gaveUp(ASKED, true, null).code, 'ETIMEDOUT');
    assert.equal(connectionGone(ASKED, true, null).code, 'EUNAVAILABLE');
    assert.equal(new QmpError({ qmpCode: 'EACCES', message: 'no' }).code, 'EPERM');
  });
});
