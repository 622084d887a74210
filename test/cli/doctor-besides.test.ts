/** Protects what the doctor says of ways into a machine and of memory that can be added: all of it, and nothing that is not there. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { besidesOf, portUse, type PortUse } from '../../src/cli/doctor/besides.js';
import { mib, mibToPages } from '../../src/units.js';

const said = (guestAgent: PortUse, ownAgent: PortUse, more = 0): string =>
  besidesOf('web', { guestAgent, ownAgent, pluggable: mibToPages(mib(more)) }).what;

describe('what a machine has besides its balloon', () => {
  it('is its agents’ ports, and what can be plugged in', () => {
    assert.equal(said('used', 'none'), "web has a port for QEMU's guest agent");
    assert.equal(
      said('used', 'used', 512),
      "web has a port for QEMU's guest agent and a port for selfballoon agent; 512 MiB more can be plugged in",
    );
  });

  it('is told where it is nothing, for then nobody tells what is promised in the guest', () => {
    assert.equal(
      said('none', 'none'),
      "web has no port for an agent: only its balloon's statistics tell what it needs",
    );
    assert.match(said('none', 'none', 2), /needs; 2 MiB more can be plugged in$/);
  });

  it('names the switch of a port that the configuration leaves unused', () => {
    assert.equal(
      said('off', 'used'),
      "web has a port for QEMU's guest agent (not used: guest_agent is off) and a port for selfballoon agent",
    );
    assert.equal(
      said('none', 'off'),
      "web has a port for selfballoon agent (not used: own_agent is off): only its balloon's statistics tell what it needs",
    );
    assert.deepEqual([portUse(false, false), portUse(true, false), portUse(true, true)], ['none', 'off', 'used']);
  });
});
