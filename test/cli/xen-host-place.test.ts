/** Protects the start in dom0: nowhere else, never without xenstored, and with a word about everything that is missing. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Place } from '../../src/cli/daemon/place.js';
import { openXenHostPlace } from '../../src/cli/daemon/xen-host-place.js';
import type { GuestNotice } from '../../src/control/ports.js';
import { SelfballoonError } from '../../src/errors.js';
import type { XenSituation } from '../../src/hypervisors/xen-guest/detect.js';
import { hostPolicy } from '../../src/policies/index.js';
import { loadText } from '../config/temporary-file.js';
import { FakeXenstored } from '../xenstore/support/fake-xenstored.js';

const PROGRAM = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const DOM0: XenSituation = { kind: 'initial-domain', seen: 'a test' };
const hasXen = existsSync('/proc/xen/privcmd');

interface Started {
  readonly place: Place;
  readonly warned: readonly string[];
}

/** Opens the place over this socket; it is closed after the test. */
async function start(test: TestContext, socket: string, more = '', xen = DOM0): Promise<Started> {
  const { config } = await loadText(test, `[xen_host]\nsocket = ${JSON.stringify(socket)}\n${more}`);
  const warned: string[] = [];
  const warn = (message: string): void => void warned.push(message);
  const place = await openXenHostPlace({ config, bootOptions: [], warn }, xen);
  test.after(() => place.close());
  return { place, warned };
}

const refused = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SelfballoonError);
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

async function xenstored(test: TestContext): Promise<FakeXenstored> {
  const fake = await FakeXenstored.start(test);
  fake.world.store.write('/local/domain/0/name', Buffer.from('Domain-0'), 0);
  return fake;
}

describe('the start on a Xen host', () => {
  it('is refused outside dom0, and asks nobody anything', async (test) => {
    const fake = await xenstored(test);
    for (const xen of [
      { kind: 'guest', seen: 'a guest', hasBalloon: true },
      { kind: 'not-xen', seen: 'no Xen' },
    ] as const) {
      const text = new RegExp(`driven from its initial domain \\(dom0\\), and this is not it \\(${xen.seen}\\)`);
      await assert.rejects(start(test, fake.path, '', xen), refused('ENODEV', text));
    }
    assert.equal(fake.connections.length, 0);
  });

  it('is refused where no xenstored answers, with where it was looked for', async (test) => {
    await assert.rejects(
      start(test, '/no/such/socket'),
      refused('EUNAVAILABLE', /\/no\/such\/socket.*Is xenstored run/),
    );
  });

  it('takes the xl tool where libxenstat is missing, and says what is missing', { skip: hasXen }, async (test) => {
    const fake = await xenstored(test);
    const { place, warned } = await start(test, fake.path);
    assert.equal(warned.length, 2);
    assert.match(warned.join('\n'), /no libxenstat.*The xl tool is used instead/);
    assert.match(warned.join('\n'), /no libxenctrl.*no domain grows past its limit/);
    assert.match(place.hypervisors[0]?.description ?? '', /seen through the tools xl and xentop/);
  });

  it('is refused where libxenstat is asked for and missing', { skip: hasXen }, async (test) => {
    const fake = await xenstored(test);
    await assert.rejects(start(test, fake.path, 'sight = "libxenstat"'), refused('ENODEV', /no libxenstat/));
  });

  it('with the xl tool asked for says nothing about libxenstat', { skip: hasXen }, async (test) => {
    const fake = await xenstored(test);
    const { warned } = await start(test, fake.path, 'sight = "xl"');
    assert.equal(warned.length, 1);
    assert.match(warned[0] ?? '', /libxenctrl/);
  });

  it('gives the loop a host with the rule for hosts, whose guests’ swap is their own', async (test) => {
    const fake = await xenstored(test);
    const { place } = await start(test, fake.path, 'sight = "xl"\n[tunables]\nfrontswap_selfshrinking = 1');
    assert.equal(place.policy, hostPolicy);
    assert.deepEqual([place.hasFrontswap, place.isSimulated, place.keepTime], [false, false, null]);
    assert.equal(place.tunables.frontswap_selfshrinking, 0);
    assert.equal(place.hypervisors.length, 1);
  });

  it('drives dom0 only where that is asked for', async (test) => {
    for (const [more, isDriven, floor] of [
      ['', false, 262_144],
      ['drive_dom0 = true\ndom0_min_mib = 512', true, 131_072],
    ] as const) {
      const fake = await xenstored(test);
      const { place } = await start(test, fake.path, `sight = "xl"\n${more}`);
      const notices: GuestNotice[] = [];
      const stop = new AbortController();
      for await (const notice of place.hypervisors[0]?.watchGuests(stop.signal) ?? []) {
        notices.push(notice);
        stop.abort();
      }
      const [came] = notices;
      assert.ok(came?.kind === 'guest-came');
      assert.equal(came.guest.capabilities.canSetTarget, isDriven);
      assert.equal(came.guest.floorFirm, floor);
    }
  });
});

describe('the commands outside Xen', { skip: hasXen }, () => {
  const run = (...args: readonly string[]): Promise<{ readonly code: unknown; readonly err: string }> =>
    new Promise((resolve) => {
      execFile(process.execPath, [PROGRAM, ...args], (error, _out, err) => {
        resolve({ code: error?.code ?? 0, err });
      });
    });

  it('`run --hypervisor xen-host` says that this is no dom0', async () => {
    const { code, err } = await run('run', '--hypervisor', 'xen-host');
    assert.equal(code, 1);
    assert.match(err, /^selfballoon: not started: a Xen host is driven from its initial domain \(dom0\).*\n$/);
  });

  it('`report` says that only a guest reports, and what to run in dom0', async () => {
    const { code, err } = await run('report');
    assert.equal(code, 1);
    assert.match(err, /^selfballoon: not started: only a guest of Xen reports.*--hypervisor xen-host\n$/);
  });
});
