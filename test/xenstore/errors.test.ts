import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SelfballoonError } from '../../src/errors.js';
import { connectionGone, gaveUp, notTaken, refused, WIRE_CODES, XenstoreError } from '../../src/xenstore/errors.js';

const ASKED = { operation: 'WRITE', subject: '/local/domain/7/memory/target' };

describe('a refusal by xenstored', () => {
  it('keeps each word that the protocol knows', () => {
    const words =
      'EINVAL EACCES EEXIST EISDIR ENOENT ENOMEM ENOSPC EIO ENOTEMPTY ENOSYS EROFS EBUSY EAGAIN EISCONN E2BIG EPERM';
    assert.deepEqual(WIRE_CODES, [...words.split(' '), 'EQUOTA']);
    for (const word of WIRE_CODES) {
      const error = refused(ASKED, word);
      assert.equal(error.xenstoreCode, word);
      assert.equal(error.word, word);
      assert.match(error.message, new RegExp(`WRITE of "/local/domain/7/memory/target": ${word}`));
      assert.equal(error.mayHaveHappened, false);
    }
  });

  it('is an error of the program like any other', () => {
    const own = {
      EACCES: 'EPERM',
      EPERM: 'EPERM',
      ENOENT: 'ENOENT',
      EINVAL: 'EINVAL',
      ENOMEM: 'ENOMEM',
      EAGAIN: 'EIO',
    };
    for (const [word, code] of Object.entries(own)) {
      const error = refused(ASKED, word);
      assert.ok(error instanceof SelfballoonError);
      assert.equal(error.code, code);
    }
  });

  it('says what to do about the common ones', () => {
    for (const word of ['EACCES', 'ENOENT', 'ENOSPC', 'EQUOTA', 'EAGAIN']) {
      assert.ok((refused(ASKED, word).advice ?? '').length > 20, word);
    }
  });

  it('keeps a word that nobody knows, cut and quoted', () => {
    const error = refused(ASKED, `ENEW\u001b[2J${'x'.repeat(10_000)}`);
    assert.equal(error.xenstoreCode, 'EUNKNOWN');
    assert.equal(error.word.length, 32);
    assert.match(error.message, /unknown word "ENEW\\u001b\[2J/);
    assert.ok(error.message.length < 300);
  });

  it('does not take a word for known because objects have it', () => {
    for (const word of ['', 'constructor', '__proto__', 'toString', 'EUNAVAILABLE', 'ETIMEDOUT', 'EPROTO']) {
      assert.equal(refused(ASKED, word).xenstoreCode, 'EUNKNOWN');
    }
  });
});

describe('what is not a refusal', () => {
  it('tells whether it may have happened all the same', () => {
    assert.equal(gaveUp(ASKED, true, null).mayHaveHappened, true);
    assert.equal(gaveUp(ASKED, false, null).mayHaveHappened, false);
    assert.equal(connectionGone(ASKED, true, null).mayHaveHappened, true);
    assert.equal(connectionGone(ASKED, false, null).mayHaveHappened, false);
  });

  it('can be told apart by its code', () => {
    assert.equal(gaveUp(ASKED, true, null).code, 'ETIMEDOUT');
    assert.equal(connectionGone(ASKED, true, null).code, 'EUNAVAILABLE');
    const why = new XenstoreError({ xenstoreCode: 'EPROTO', message: 'nonsense came' });
    assert.equal(connectionGone(ASKED, true, why).xenstoreCode, 'EUNAVAILABLE');
    assert.equal(connectionGone(ASKED, true, why).cause, why);
    assert.match(connectionGone(ASKED, true, why).message, /nonsense came/);
  });

  it("has the kernel's own error number where the kernel refuses a message", () => {
    const cause = Object.assign(new Error('EACCES: permission denied, write'), { code: 'EACCES' });
    assert.equal(notTaken(ASKED, cause).xenstoreCode, 'EACCES');
    assert.equal(notTaken(ASKED, Object.assign(new Error('EILSEQ'), { code: 'EILSEQ' })).xenstoreCode, 'EIO');
    assert.equal(notTaken(ASKED, 'odd').xenstoreCode, 'EIO');
  });
});
