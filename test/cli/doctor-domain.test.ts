/** Protects whoever runs the program where it drives nothing yet: the start, the doctor and release name what could be driven there. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { releaseAll } from '../../src/cli/commands/release.js';
import { FROM_A_HOST, START_UP_ADVICE, startingTunables } from '../../src/cli/daemon/place.js';
import { checkDomain } from '../../src/cli/doctor/domain.js';
import type { Situation } from '../../src/control/start-up.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { SelfballoonError } from '../../src/errors.js';
import { temporaryFolder } from '../server/fakes.js';

const seen = 'seen';
const GUEST: Situation = {
  xenDomain: true,
  initialDomain: false,
  frontswapConfigured: true,
  tierPresent: true,
  bootOptions: [],
};

function refusalOf(change: Partial<Situation>): SelfballoonError {
  try {
    startingTunables(DEFAULT_TUNABLES, { ...GUEST, ...change });
  } catch (error) {
    assert.ok(error instanceof SelfballoonError);
    return error;
  }
  throw new assert.AssertionError({ message: 'it started' });
}

describe('a place where self-ballooning must not run', () => {
  it('is told in the specification’s words, with what can be done there', () => {
    const error = refusalOf({ initialDomain: true });
    assert.equal(error.code, 'ENODEV');
    assert.match(error.message, /^not started: this is the initial domain \(dom0\), and self-ballooning is disabled/);
    assert.match(error.advice ?? '', /--hypervisor xen-host/);
    assert.match(refusalOf({ xenDomain: false }).advice ?? '', /--hypervisor libvirt or qmp/);
    assert.match(refusalOf({ tierPresent: false }).advice ?? '', /swap stripes/);
    assert.match(refusalOf({ bootOptions: ['noselfballooning', 'noselfshrink'] }).advice ?? '', /noselfshrink/);
  });

  it('is told by the doctor as by the start', () => {
    const dom0 = checkDomain({ kind: 'initial-domain', seen }, 'auto');
    assert.equal(dom0.level, 'fail');
    assert.equal(dom0.advice, refusalOf({ initialDomain: true }).advice);
    const elsewhere = checkDomain({ kind: 'not-xen', seen }, 'xen-guest');
    assert.equal(elsewhere.level, 'fail');
    assert.equal(elsewhere.advice, refusalOf({ xenDomain: false }).advice);
  });
});

describe('the doctor on a machine without Xen', () => {
  it('says that nothing real would be driven, and names the hosts that could be', () => {
    const { level, what, advice } = checkDomain({ kind: 'not-xen', seen }, 'auto');
    assert.equal(level, 'warn');
    assert.match(what, /run would start the embedded simulated host/);
    assert.match(advice ?? '', /real: Run it inside a Xen guest\. On a host of QEMU machines say --hypervisor libvirt/);
  });
});

describe('release where there is nothing of ours', () => {
  it('names the hosts in the words of the start', async (test) => {
    const folder = temporaryFolder(test);
    const config = join(folder, 'config.toml');
    writeFileSync(config, `[xen_guest]\nroot = "${folder}"\n`);
    const flags = { config, socket: join(folder, 'nobody.sock') };
    await assert.rejects(releaseAll(flags), (error) => {
      assert.ok(error instanceof SelfballoonError);
      assert.ok(error.advice?.startsWith(`${FROM_A_HOST}. `), error.advice);
      return error.code === 'EUNAVAILABLE';
    });
    assert.ok(START_UP_ADVICE['no-guest'].endsWith(FROM_A_HOST));
  });
});
