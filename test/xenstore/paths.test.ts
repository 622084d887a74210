import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkPath, checkWatchPath, isNodeName } from '../../src/xenstore/paths.js';
import { checkDomid, formatPermission, parsePermission, type Permission } from '../../src/xenstore/permissions.js';
import { xenstoreError } from './support/frames.js';

const GOOD = [
  '/',
  '/local',
  '/local/domain/7/memory/target',
  'memory/target',
  'a',
  '/with-all_of@them',
  '@releaseDomain',
  `/${'a'.repeat(3071)}`,
  'a'.repeat(2048),
];

const BAD: readonly (readonly [string, RegExp])[] = [
  ['', /empty/],
  ['/a/', /slash/],
  ['a/', /slash/],
  ['//', /double slash/],
  ['/a//b', /double slash/],
  ['/a b', /only letters/],
  ['/a\0b', /only letters/],
  ['/a\n', /only letters/],
  ['/ä', /only letters/],
  ['/a.b', /only letters/],
  [`/${'a'.repeat(3072)}`, /longer than 3072/],
  ['a'.repeat(2049), /longer than 2048/],
];

describe('a path to be sent', () => {
  for (const path of GOOD) {
    it(`may be ${path.slice(0, 40)}`, () => {
      checkPath(path);
      checkWatchPath(path);
    });
  }

  for (const [path, why] of BAD) {
    it(`may not be ${JSON.stringify(path.slice(0, 40))}`, () => {
      assert.throws(
        () => {
          checkPath(path);
        },
        xenstoreError('EINVAL', why),
      );
      assert.throws(
        () => {
          checkWatchPath(path);
        },
        xenstoreError('EINVAL', why),
      );
    });
  }

  it("may be watched when it is one of xenstored's own events", () => {
    for (const path of ['@introduceDomain', '@releaseDomain', '@releaseDomain/5']) checkWatchPath(path);
  });

  it('is quoted and cut in the message when it is not one', () => {
    assert.throws(
      () => {
        checkPath(`/${'\u0001'.repeat(10_000)}`);
      },
      (error: unknown) => error instanceof Error && error.message.length < 1400 && error.message.includes('\\u0001'),
    );
  });
});

describe("a node's name from outside", () => {
  it('has no slash, no NUL, and something in it', () => {
    assert.ok(isNodeName('domain-7_@'));
    for (const name of ['', '/', 'a/b', '..', 'a b', '\0', 'é']) assert.ok(!isNodeName(name), name);
  });
});

describe('permissions', () => {
  const table: readonly (readonly [string, Permission])[] = [
    ['n0', { domid: 0, access: 'none' }],
    ['r7', { domid: 7, access: 'read' }],
    ['w32751', { domid: 32_751, access: 'write' }],
    ['b65535', { domid: 65_535, access: 'both' }],
  ];
  const asked = { operation: 'GET_PERMS', subject: '/a' };
  for (const [text, permission] of table) {
    it(`${text} is ${permission.access} for domain ${permission.domid}`, () => {
      assert.deepEqual(parsePermission(text, asked), permission);
      assert.equal(formatPermission(permission), text);
    });
  }

  for (const text of ['', 'r', '7', 'x7', 'r-1', 'r65536', 'r7 ', 'r7\n', 'rr7', 'r999999', 'r0x7']) {
    it(`${JSON.stringify(text)} is none`, () => {
      assert.throws(() => parsePermission(text, asked), xenstoreError('EPROTO', /GET_PERMS of "\/a"/));
    });
  }

  for (const domid of [-1, 0.5, 65_536, NaN, Infinity]) {
    it(`${domid} is not a domain`, () => {
      assert.throws(() => {
        checkDomid(domid);
      }, xenstoreError('EINVAL'));
      assert.throws(() => formatPermission({ domid, access: 'read' }), xenstoreError('EINVAL'));
    });
  }
});
