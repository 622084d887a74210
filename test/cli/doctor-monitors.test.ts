/** Protects the doctor's findings from what machines call themselves. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkMonitors } from '../../src/cli/doctor/monitors.js';
import { NO_PAGES } from '../../src/units.js';
import { FakeQemu } from '../qmp/support/fake-qemu.js';

describe('a machine with a name that is meant to look like a finding', () => {
  it('is named in one line, without anything that a terminal would obey', async (test) => {
    const qemu = await FakeQemu.start(test);
    qemu.machine.name = 'web\n  ok    all is well\u001b[2J\u202e';
    const qmp = { sockets: [qemu.path], reserve: NO_PAGES, asksAgent: false, hearsOwn: false };
    const findings = await checkMonitors({ qmp, xenGuest: { root: '/' } }, 0);
    assert.equal(findings.length, 2);
    for (const { what } of findings) {
      assert.doesNotMatch(what, /[\p{Cc}\p{Cf}]/u);
      assert.match(what, /^web___ok____all_is_well__2J_ /);
    }
  });
});
