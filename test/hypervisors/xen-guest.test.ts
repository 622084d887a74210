import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { GuestNotice, Hypervisor, OverflowTier, ReadOutcome } from '../../src/control/ports.js';
import type { Reading } from '../../src/control/reading.js';
import { HypervisorError, SelfballoonError } from '../../src/errors.js';
import { openXenGuest, type XenGuestOptions } from '../../src/hypervisors/xen-guest/client.js';
import { formatTarget, parseKib } from '../../src/hypervisors/xen-guest/codec.js';
import { cleanName } from '../../src/hypervisors/xen-guest/name.js';
import { guestSize, millis, pages, pagesToKib } from '../../src/units.js';
import { fixture } from '../support/paths.js';
import { useSeed } from '../support/seed.js';

useSeed();

const XEN_MEMORY = 'sys/devices/system/xen_memory/xen_memory0';
const ID = 'xen-guest/web-1';
const NEVER = new AbortController().signal;

let root = '';
let opened: Hypervisor[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'xen-guest-'));
  cpSync(fixture('xen-guest'), root, { recursive: true });
  opened = [];
});

afterEach(async () => {
  for (const hypervisor of opened) await hypervisor.close();
  rmSync(root, { recursive: true });
});

function open(more: Partial<XenGuestOptions> = {}): Hypervisor {
  const hypervisor = openXenGuest({ root, now: () => millis(1234), tier: null, ...more });
  opened.push(hypervisor);
  return hypervisor;
}

const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const attribute = (name: string): string => readFileSync(join(root, XEN_MEMORY, name), 'utf8');

async function readAll(hypervisor: Hypervisor, guests: readonly string[], signal = NEVER): Promise<ReadOutcome[]> {
  const outcomes: ReadOutcome[] = [];
  await hypervisor.read(guests, (outcome) => outcomes.push(outcome), signal);
  return outcomes;
}

async function readingOf(hypervisor: Hypervisor, signal = NEVER): Promise<Reading> {
  const [outcome] = await readAll(hypervisor, [ID], signal);
  assert.equal(outcome?.kind, 'reading');
  return outcome.reading;
}

const failsWith =
  (code: string, text: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof HypervisorError);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  };

const systemError = (code: string): Error => Object.assign(new Error(`${code}: refused`), { code });

const tierOf = (tier: Partial<OverflowTier>): OverflowTier => ({
  read: () => Promise.resolve({ kind: 'present', used: pages(700), total: pages(32_768) }),
  shrinkTo: () => Promise.resolve('emptied one'),
  close: () => Promise.reject(new Error('the tier is not ours to close')),
  ...tier,
});

describe('a Xen guest: units and polarity on the wire', () => {
  it('writes the size that the guest keeps, in KiB, to target_kb and to nothing else', async () => {
    await open().setTarget(ID, guestSize(pages(32_768)), NEVER);
    assert.equal(attribute('target_kb'), '131072\n');
    assert.equal(attribute('target'), '268435456\n');
  });

  it('leaves nothing of a longer number behind a shorter one', async () => {
    await open().setTarget(ID, guestSize(pages(16_384)), NEVER);
    assert.equal(attribute('target_kb'), '65536\n');
  });

  it('reads 131072 KiB as 32768 pages that the guest keeps', async () => {
    put(`${XEN_MEMORY}/target_kb`, '131072\n');
    put(`${XEN_MEMORY}/info/current_kb`, '131072\n');
    put(`${XEN_MEMORY}/info/low_kb`, '131072\n');
    const reading = await readingOf(open());
    assert.deepEqual(reading.current, { known: true, value: 32_768, at: 1234 });
    assert.deepEqual(reading.maximum, { known: true, value: 65_536, at: 1234 });
  });

  it('counts high memory in the balloon as well', async () => {
    put(`${XEN_MEMORY}/info/low_kb`, '4\n');
    put(`${XEN_MEMORY}/info/high_kb`, '8\n');
    assert.deepEqual((await readingOf(open())).maximum, { known: true, value: 65_539, at: 1234 });
  });

  it('does not count a part page as one that the guest has', async () => {
    put(`${XEN_MEMORY}/info/current_kb`, '262143\n');
    assert.deepEqual((await readingOf(open())).current, { known: true, value: 65_535, at: 1234 });
  });

  it('what is written reads as the same size, for guests up to 24 TiB', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6_442_450_944 }), (count) => {
        const text = formatTarget(guestSize(pages(count)));
        assert.ok(text !== null);
        assert.deepEqual(parseKib('target_kb', text), { known: true, value: pagesToKib(pages(count)) });
      }),
    );
  });

  it('has no text for a target of 0 or one past 2^53 KiB', () => {
    assert.equal(formatTarget(guestSize(pages(0))), null);
    assert.equal(formatTarget(guestSize(pages(2 ** 51))), null);
    assert.equal(formatTarget(guestSize(pages(2 ** 51 - 1))), '9007199254740988\n');
  });

  it('refuses what is not a number of KiB', () => {
    for (const text of ['', '\n', '-4\n', '+4\n', '4 \n', '0x10\n', '1e3\n', '4\n4\n', '99999999999999999\n']) {
      assert.equal(parseKib('target_kb', text).known, false, JSON.stringify(text));
    }
  });
});

describe('a Xen guest: reading', () => {
  it('gives a whole reading of a 256 MiB guest', async () => {
    const reading = await readingOf(open());
    const value = (signal: { known: boolean }): unknown => ('value' in signal ? signal.value : null);
    assert.equal(value(reading.current), 65_536);
    assert.equal(value(reading.maximum), 65_536);
    assert.equal(value(reading.total), 59_440);
    assert.equal(value(reading.available), 47_628);
    assert.equal(value(reading.committed), 12_030);
    assert.equal(value(reading.reserve), 210 + 265 + 800);
    assert.equal(value(reading.maxPfn), 65_536);
    assert.equal(reading.at, 1234);
  });

  it('garbage, nothing or 0 in current_kb is unknown, and so is the sum with it', async () => {
    for (const [text, reason] of [
      ['garbage\n', 'malformed'],
      ['', 'malformed'],
      ['-1\n', 'malformed'],
      ['0\n', 'implausible'],
    ] as const) {
      put(`${XEN_MEMORY}/info/current_kb`, text);
      const reading = await readingOf(open());
      assert.equal(reading.current.known ? 'known' : reading.current.reason, reason, JSON.stringify(text));
      assert.equal(reading.maximum.known, false, JSON.stringify(text));
    }
  });

  it('an unknown part of the balloon makes the maximum unknown and leaves current known', async () => {
    put(`${XEN_MEMORY}/info/low_kb`, 'many\n');
    const reading = await readingOf(open());
    assert.equal(reading.current.known, true);
    assert.equal(reading.maximum.known, false);
  });

  it('without the balloon driver, current and maximum are not reported; the rest still is', async () => {
    rmSync(join(root, 'sys'), { recursive: true });
    const reading = await readingOf(open());
    assert.equal(reading.current.known ? 'known' : reading.current.reason, 'not-reported');
    assert.equal(reading.maximum.known ? 'known' : reading.maximum.reason, 'not-reported');
    assert.equal(reading.total.known, true);
  });

  it('reports a guest that is not this one as gone, and goes on with the others', async () => {
    const [other, own] = await readAll(open(), ['xen-guest/other', ID]);
    assert.equal(other?.kind, 'reading-failed');
    assert.equal(other.error.code, 'EGONE');
    assert.equal(own?.kind, 'reading');
  });
});

describe('a Xen guest: setting a target', () => {
  it('never writes a target of 0 or past 2^53 KiB', async () => {
    for (const count of [0, 2 ** 51]) {
      await assert.rejects(open().setTarget(ID, guestSize(pages(count)), NEVER), failsWith('EINVAL', /not written/));
    }
    assert.equal(attribute('target_kb'), '262144\n');
  });

  it('says EPERM and who to be when it may not write', async () => {
    for (const code of ['EACCES', 'EPERM', 'EROFS']) {
      const guest = open({ setAttribute: () => Promise.reject(systemError(code)) });
      await assert.rejects(guest.setTarget(ID, guestSize(pages(1)), NEVER), failsWith('EPERM', /Run it as root/));
    }
  });

  it('says ENODEV and what the kernel needs when the driver is not there, and creates no file', async () => {
    rmSync(join(root, XEN_MEMORY, 'target_kb'));
    await assert.rejects(open().setTarget(ID, guestSize(pages(1)), NEVER), failsWith('ENODEV', /CONFIG_XEN_BALLOON/));
    assert.throws(() => attribute('target_kb'), /ENOENT/);
    rmSync(join(root, 'sys'), { recursive: true });
    await assert.rejects(
      open().setTarget(ID, guestSize(pages(1)), NEVER),
      failsWith('ENODEV', /guest xen-guest\/web-1/),
    );
  });

  it('says EIO for anything else', async () => {
    rmSync(join(root, XEN_MEMORY, 'target_kb'));
    mkdirSync(join(root, XEN_MEMORY, 'target_kb'));
    await assert.rejects(open().setTarget(ID, guestSize(pages(1)), NEVER), failsWith('EIO', /EISDIR/));
  });

  it('says so when the target reads as something else right after', async () => {
    const guest = open({ setAttribute: () => Promise.resolve('262144\n') });
    await assert.rejects(
      guest.setTarget(ID, guestSize(pages(32_768)), NEVER),
      failsWith('EIO', /wrote 131072 KiB .* reads "262144"/),
    );
  });

  it('begins nothing when the time is up, and lets go when it runs out', async () => {
    let writes = 0;
    const limit = new AbortController();
    const guest = open({
      setAttribute: () => {
        writes += 1;
        return new Promise(() => null);
      },
      timeLimit: () => AbortSignal.abort(),
    });
    const asked = guest.setTarget(ID, guestSize(pages(1)), limit.signal);
    limit.abort();
    await assert.rejects(asked, failsWith('ETIMEDOUT', /not finished in time/));
    await assert.rejects(guest.setTarget(ID, guestSize(pages(1)), limit.signal), failsWith('ETIMEDOUT', /target/));
    assert.equal(writes, 1);
    opened = [];
    await assert.rejects(guest.close(), failsWith('ETIMEDOUT', /nobody knows .* selfballoon release/));
  });

  it('does not set another guest', async () => {
    await assert.rejects(open().setTarget('xen-guest/x', guestSize(pages(1)), NEVER), failsWith('EGONE', /only one/));
  });
});

describe('a Xen guest: its overflow tier', () => {
  it('reads what the tier holds', async () => {
    const reading = await readingOf(open({ tier: tierOf({}) }));
    assert.deepEqual(reading.overflowUsed, { known: true, value: 700, at: 1234 });
  });

  it('no tier and an absent one are unknown, never 0', async () => {
    const absent = tierOf({ read: () => Promise.resolve({ kind: 'absent', why: 'none is on' }) });
    for (const tier of [null, absent]) {
      const { overflowUsed } = await readingOf(open({ tier }));
      assert.equal(overflowUsed.known ? 'known' : overflowUsed.reason, 'not-reported');
    }
  });

  it('a tier that fails or hangs costs its own signal only', async () => {
    const limit = new AbortController();
    const failing = open({ tier: tierOf({ read: () => Promise.reject(new Error('broken')) }) });
    const hanging = open({ tier: tierOf({ read: () => new Promise(() => null) }) });
    const late = readingOf(hanging, limit.signal);
    limit.abort();
    for (const reading of [await readingOf(failing), await late]) {
      assert.equal(reading.overflowUsed.known ? 'known' : reading.overflowUsed.reason, 'unreadable');
      assert.equal(reading.current.known, true);
    }
  });

  it('passes the shrinking on, and its failure with code and advice', async () => {
    const asked: number[] = [];
    const tier = tierOf({
      shrinkTo: (to) => {
        asked.push(to);
        return Promise.resolve('emptied one');
      },
    });
    assert.equal(await open({ tier }).shrinkOverflow(ID, pages(5), NEVER), 'emptied one');
    assert.deepEqual(asked, [5]);
    const error = new SelfballoonError({ code: 'ENOMEM', message: 'swapoff failed', advice: 'Wait' });
    const failing = open({ tier: tierOf({ shrinkTo: () => Promise.reject(error) }) });
    await assert.rejects(failing.shrinkOverflow(ID, pages(5), NEVER), failsWith('ENOMEM', /swapoff failed\. Wait/));
    await assert.rejects(open().shrinkOverflow(ID, pages(5), NEVER), failsWith('ENODEV', /no overflow tier/));
  });
});

describe('a Xen guest: who it is', () => {
  async function announced(hypervisor: Hypervisor): Promise<readonly GuestNotice[]> {
    const notices: GuestNotice[] = [];
    const stop = new AbortController();
    for await (const notice of hypervisor.watchGuests(stop.signal)) {
      notices.push(notice);
      stop.abort();
    }
    return notices;
  }

  it('announces itself once, by its host name, and ends when told to', async () => {
    assert.deepEqual(await announced(open({ tier: tierOf({}) })), [
      {
        kind: 'guest-came',
        guest: {
          id: ID,
          name: 'web-1',
          capabilities: { canSetTarget: true, hasOverflowTier: true, isSimulated: false },
        },
      },
    ]);
  });

  it('takes the UUID where there is no host name, and says when there is neither', async () => {
    put('proc/sys/kernel/hostname', '(none)\n');
    const [byUuid] = await announced(open());
    assert.equal(byUuid?.kind === 'guest-came' && byUuid.guest.name, '5b7a1f0e-3c62-4d0f-9a57-2f6f1c8e4b11');
    rmSync(join(root, 'sys/hypervisor'), { recursive: true });
    const [unnamed] = await announced(open());
    assert.equal(unnamed?.kind === 'guest-came' && unnamed.guest.name, 'unnamed');
  });

  it('makes an id of at most 255 characters from any name', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), (name) => {
        const id = `xen-guest/${cleanName(name)}`;
        assert.ok(id.length <= 255 && /^xen-guest\/[\w.:-]+$/.test(id), id);
      }),
    );
  });
});
