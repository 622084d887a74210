/** Protects the start inside a Xen guest: nothing is asked of a guest that has nothing to catch what it must swap out. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Place } from '../../src/cli/daemon/place.js';
import { openXenGuestPlace } from '../../src/cli/daemon/xen-guest-place.js';
import type { ReadOutcome } from '../../src/control/ports.js';
import type { Reading } from '../../src/control/reading.js';
import { SelfballoonError } from '../../src/errors.js';
import type { XenSituation } from '../../src/hypervisors/xen-guest/detect.js';
import { selfPolicy } from '../../src/policies/index.js';
import { millis, pages } from '../../src/units.js';
import { loadText } from '../config/temporary-file.js';
import { XenGuestRoot } from './xen-guest-root.js';

const A = '/dev/stripe-a';
const B = '/dev/stripe-b';
const ID = 'xen-guest/web-1';
const NEVER = new AbortController().signal;
const GUEST: XenSituation = { kind: 'guest', seen: 'a test', hasBalloon: true };
const AT_BOOT = '262144\n';

interface Start {
  readonly xen?: XenSituation;
  readonly devices?: readonly string[];
  readonly isDryRun?: boolean;
}

/** Opens the place, and gathers what it warned of. It is closed after the test. */
async function start(test: TestContext, root: XenGuestRoot, more: Start = {}) {
  const { xen = GUEST, devices = [A, B], isDryRun = false } = more;
  const { config } = await loadText(
    test,
    `dry_run = ${String(isDryRun)}
    [overflow]
    devices = ${JSON.stringify(devices)}
    reserve_mib = 0
    [xen_guest]
    root = ${JSON.stringify(root.path)}`,
  );
  const warned: string[] = [];
  const warn = (message: string): void => void warned.push(message);
  const opening = openXenGuestPlace({ config, bootOptions: [], warn, swapCalls: root }, xen);
  const place = await opening.catch((error: unknown) => error);
  if (isPlace(place)) test.after(() => place.close());
  return { place, warned };
}

const isPlace = (outcome: unknown): outcome is Place =>
  typeof outcome === 'object' && outcome !== null && 'close' in outcome;

function assertPlace(outcome: unknown): asserts outcome is Place {
  assert.ok(isPlace(outcome), String(outcome));
}

function assertRefused(outcome: unknown, text: RegExp): void {
  assert.ok(outcome instanceof SelfballoonError, 'it was not refused');
  assert.equal(outcome.code, 'ENODEV');
  assert.match(outcome.message, text);
}

async function readingOf({ hypervisors: [guest] }: Place): Promise<Reading> {
  const outcomes: ReadOutcome[] = [];
  await guest?.read([ID], (outcome) => outcomes.push(outcome), NEVER);
  const [outcome] = outcomes;
  assert.ok(outcome?.kind === 'reading');
  return outcome.reading;
}

describe('the start inside a Xen guest', () => {
  it('switches the stripes on and starts, without a word, where there is enough swap', async (test) => {
    const root = new XenGuestRoot(test);
    const { place, warned } = await start(test, root);
    assertPlace(place);
    assert.deepEqual([place.tunables.selfballooning, place.tunables.frontswap_selfshrinking], [1, 1]);
    assert.deepEqual(root.calls, [`on ${A}`, `on ${B}`]);
    assert.deepEqual(warned, []);
    assert.equal(place.hasFrontswap, true);
  });

  it('is refused when stripes are configured and none of them is there', async (test) => {
    const root = new XenGuestRoot(test);
    root.otherSwapMib = 512;
    root.show();
    for (const device of [A, B]) root.broken.add(device);
    const { place, warned } = await start(test, root);
    assertRefused(place, /not started: there is no overflow tier/);
    assert.match(warned.join('\n'), /the overflow tier is not there: .*swapon of \/dev\/stripe-a failed: ENOENT/);
    assert.equal(root.target, AT_BOOT);
  });

  it('is refused when the stripes have no room, and nobody can say what is swapped', async (test) => {
    const root = new XenGuestRoot(test);
    root.stripeMib = 0;
    root.otherSwapMib = 512;
    const empty = await start(test, root);
    assertRefused(empty.place, /no overflow tier/);
    assert.match(empty.warned.join(), /no room at all/);
    rmSync(join(root.path, 'proc/swaps'));
    assertRefused((await start(test, root)).place, /no overflow tier/);
  });

  it('is refused without any swap, or when nobody knows how much, and says which stripes stay on', async (test) => {
    const root = new XenGuestRoot(test);
    await root.swapOn(A);
    root.put('proc/meminfo', 'MemTotal: 237760 kB\nMemAvailable: 190512 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n');
    const none = await start(test, root, { devices: [A] });
    assertRefused(none.place, /must not self-balloon: 0 MiB of swap for 232 MiB of memory.*Add about 232 MiB/);
    assert.deepEqual(none.warned, []);
    root.show = () => {
      root.put('proc/swaps', `Filename Type Size Used Priority\n${A} partition 4096 0 1\n${B} partition 4096 0 0\n`);
      root.put('proc/meminfo', 'MemTotal: 237760 kB\n');
    };
    root.show();
    root.put('proc/swaps', `Filename Type Size Used Priority\n${A} partition 4096 0 1\n`);
    const unknown = await start(test, root);
    assertRefused(unknown.place, /must not self-balloon: how much swap there is could not be read/);
    assert.deepEqual(unknown.warned, [`swap stripes were switched on, and stay on: ${B}`]);
    assert.equal(root.target, AT_BOOT);
  });

  it('says how much swap is missing when there is less than the guest has memory', async (test) => {
    const root = new XenGuestRoot(test);
    root.stripeMib = 50;
    const { place, warned } = await start(test, root);
    assertPlace(place);
    assert.match(
      warned.join(),
      /must not self-balloon: 100 MiB of swap for 232 MiB of memory\. Add about 132 MiB of swap/,
    );
  });

  it('counts the memory that is in the balloon, for after a restart the guest may be small', async (test) => {
    const root = new XenGuestRoot(test);
    root.putBalloon('info/low_kb', '262144\n');
    const { place, warned } = await start(test, root);
    assertPlace(place);
    assert.match(warned.join(), /256 MiB of swap for 488 MiB of memory/);
  });

  it('touches nothing in dom0, on a machine without Xen, or without configured stripes', async (test) => {
    const root = new XenGuestRoot(test);
    assertRefused((await start(test, root, { xen: { kind: 'initial-domain', seen: '' } })).place, /dom0/);
    assertRefused((await start(test, root, { xen: { kind: 'not-xen', seen: '' } })).place, /not a Xen guest/);
    assertRefused((await start(test, root, { devices: [] })).place, /no overflow tier/);
    assert.deepEqual(root.calls, []);
  });
});

describe('a dry run inside a Xen guest', () => {
  it('switches nothing on, says what is missing, and goes on watching', async (test) => {
    const root = new XenGuestRoot(test);
    const { place, warned } = await start(test, root, { isDryRun: true });
    assertPlace(place);
    assert.deepEqual(root.calls, []);
    assert.match(warned.join('\n'), /overflow tier is not there.*A real run would not start/);
    assert.match(warned.join('\n'), /0 MiB of swap for 232 MiB of memory/);
    assert.equal(place.tunables.selfballooning, 1);
  });
});

describe('while it runs inside a Xen guest', () => {
  it('a tier that goes absent is unknown, and the policy holds; it goes on when a stripe is back', async (test) => {
    const root = new XenGuestRoot(test);
    const { place } = await start(test, root);
    assertPlace(place);
    const wish = async (): Promise<string> => {
      const view = { reading: await readingOf(place), tunables: place.tunables, hasOverflowTier: true };
      return selfPolicy.decide(view, selfPolicy.initialMemory, millis(0)).wish.kind;
    };
    assert.equal(await wish(), 'resize');
    root.on.clear();
    root.show();
    const { overflowUsed } = await readingOf(place);
    assert.ok(!overflowUsed.known && /none of the swap stripes is switched on/.test(overflowUsed.detail));
    assert.equal(await wish(), 'hold');
    root.on.add(A);
    root.show();
    assert.equal(await wish(), 'resize');
  });

  it('a stripe is emptied only if the kernel keeps its own reserve, as it is at that moment', async (test) => {
    const root = new XenGuestRoot(test);
    const { place } = await start(test, root, { devices: [A] });
    assertPlace(place);
    const [guest] = place.hypervisors;
    root.used = 1000;
    // The fixture's kernel keeps 1275 pages for itself; reserve_mib is 0 here.
    root.show(1000 + 1274);
    assert.match((await guest?.shrinkOverflow(ID, pages(0), NEVER)) ?? '', /1275 pages \(5\.0 MiB\) must stay/);
    rmSync(join(root.path, 'proc/zoneinfo'));
    root.put('proc/meminfo', 'MemTotal: 200000 kB\nMemAvailable: 190000 kB\n');
    assert.match((await guest?.shrinkOverflow(ID, pages(0), NEVER)) ?? '', /keeps for itself is not known/);
    assert.deepEqual(root.calls, [`on ${A}`]);
  });
});
