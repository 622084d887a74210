import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { detectXen } from '../../src/hypervisors/xen-guest/detect.js';
import { fixture } from '../support/paths.js';

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'xen-detect-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const asGuest = (): void => {
  cpSync(fixture('xen-guest'), root, { recursive: true });
};

describe('where a machine stands with Xen', () => {
  it('a bare machine is not on Xen', () => {
    put('proc/meminfo', '');
    assert.deepEqual(detectXen(root), { kind: 'not-xen', seen: '/sys/hypervisor/type: not there' });
  });

  it('another hypervisor is not Xen', () => {
    put('sys/hypervisor/type', 'other\n');
    assert.equal(detectXen(root).kind, 'not-xen');
  });

  it('a guest, with and without the balloon driver', () => {
    asGuest();
    const guest = detectXen(root);
    assert.equal(guest.kind === 'guest' && guest.hasBalloon, true);
    rmSync(join(root, 'sys/devices'), { recursive: true });
    const without = detectXen(root);
    assert.equal(without.kind === 'guest' && without.hasBalloon, false);
  });

  it('a guest whose kernel does not show the hypervisor is known by the balloon driver and xenfs', () => {
    asGuest();
    rmSync(join(root, 'sys/hypervisor'), { recursive: true });
    assert.equal(detectXen(root).kind, 'guest');
  });

  // Each of the four sources is enough, for each is missing somewhere: xenfs may not be mounted, the flags need kernel 6.3.
  for (const [file, text] of [
    ['sys/hypervisor/start_flags/initdomain', '1\n'],
    ['proc/xen/capabilities', 'control_d\n'],
    ['sys/hypervisor/properties/features', '00002f0d\n'],
    ['sys/hypervisor/uuid', '00000000-0000-0000-0000-000000000000\n'],
  ] as const) {
    it(`the initial domain, told by /${file} alone`, () => {
      asGuest();
      put(file, text);
      const situation = detectXen(root);
      assert.equal(situation.kind, 'initial-domain');
      assert.ok(situation.seen.includes(`/${file}: initial domain`), situation.seen);
    });
  }

  it('a flag of 0 is a guest', () => {
    asGuest();
    put('sys/hypervisor/start_flags/initdomain', '0\n');
    assert.equal(detectXen(root).kind, 'guest');
  });

  it('on Xen, with nothing that tells: taken for the initial domain, whose memory must not be touched', () => {
    put('sys/hypervisor/type', 'xen\n');
    put('sys/hypervisor/properties/features', '<denied>\n');
    const situation = detectXen(root);
    assert.equal(situation.kind, 'initial-domain');
    assert.match(situation.seen, /nothing tells/);
  });
});
