/** Protects what the doctor says of ways into a machine and of memory that can be added: all of it, and nothing that is not there. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { besidesOf } from '../../src/cli/doctor/besides.js';
import { mib, mibToPages } from '../../src/units.js';

const said = (hasGuestAgentPort: boolean, hasOwnAgentPort: boolean, more = 0): string =>
  besidesOf('web', { hasGuestAgentPort, hasOwnAgentPort, pluggable: mibToPages(mib(more)) }).what;

describe('what a machine has besides its balloon', () => {
  it('is its agents’ ports, and what can be plugged in', () => {
    assert.equal(said(true, false), "web has a port for QEMU's guest agent");
    assert.equal(
      said(true, true, 512),
      "web has a port for QEMU's guest agent and a port for selfballoon agent; 512 MiB more can be plugged in",
    );
  });

  it('is told where it is nothing, for then nobody tells what is promised in the guest', () => {
    assert.equal(said(false, false), "web has no port for an agent: only its balloon's statistics tell what it needs");
    assert.match(said(false, false, 2), /needs; 2 MiB more can be plugged in$/);
  });
});
