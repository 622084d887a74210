/** Protects the calls of Xen's C libraries: units, one call at a time, no handle freed under a call, clear words without them. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { HypervisorError } from '../../../src/errors.js';
import { findLibrary, loadCalls } from '../../../src/hypervisors/xen-host/c-library.js';
import { limitSetterOver, openLimitSetter, type Xenctrl } from '../../../src/hypervisors/xen-host/xenctrl.js';
import { openXenstat, xenstatOver, type Xenstat } from '../../../src/hypervisors/xen-host/xenstat.js';
import { kib, pages } from '../../../src/units.js';
import { NEVER } from './support/rig.js';
import { failsWith, gate } from './support/two-domains.js';

interface FakeNode {
  readonly total: number;
  readonly free: number;
  readonly domains: readonly { readonly id: number; readonly held: number; readonly max: number }[];
}

const NODE: FakeNode = {
  total: 4_293_918_720,
  free: 3_141_533_696,
  domains: [
    { id: 0, held: 838_860_800, max: 2 ** 64 - 1 },
    { id: 1, held: 268_435_457, max: 269_484_032 },
  ],
};

/** How many pages are to have memory. */
const READY = pages(131_136);

/** A look at domains that hold more than at the last one, as all do at the first: they are asked for twice. */
const TWICE = ['get', 'free', 'get', 'free'];

/** libxenstat with a host made up by a test. */
class FakeXenstat {
  readonly calls: string[] = [];
  node: FakeNode | null = NODE;
  /** What it is asked for next, one after the other; then `node` again. */
  later: FakeNode[] = [];
  before: Promise<void> = Promise.resolve();
  readonly ofXen: Xenstat = {
    init: () => 'handle',
    uninit: () => void this.calls.push('uninit'),
    getNode: async () => {
      this.calls.push('get');
      await this.before;
      return this.later.shift() ?? this.node;
    },
    freeNode: () => void this.calls.push('free'),
    total: (node) => (node as FakeNode).total,
    free: (node) => (node as FakeNode).free,
    count: (node) => (node as FakeNode).domains.length,
    domain: (node, index) => (node as FakeNode).domains[index],
    id: (domain) => (domain as FakeNode['domains'][number]).id,
    held: (domain) => (domain as FakeNode['domains'][number]).held,
    maximum: (domain) => (domain as FakeNode['domains'][number]).max,
    isDying: (domain) => (domain as FakeNode['domains'][number]).id === 1,
  };
}

describe('libxenstat', () => {
  it('counts bytes, and the sight KiB, with part KiB dropped', async () => {
    const fake = new FakeXenstat();
    assert.deepEqual(await xenstatOver(fake.ofXen, 'lib').look(NEVER), {
      total: 4_193_280,
      free: 3_067_904,
      domains: [
        { domid: 0, held: 819_200, maximum: null, isDying: false },
        { domid: 1, held: 262_144, maximum: 263_168, isDying: true },
      ],
    });
    assert.deepEqual(fake.calls, TWICE);
  });

  it('says what is free after what domains hold: what one takes in between is not free any more', async () => {
    const [dom0, guest] = NODE.domains;
    assert.ok(dom0 !== undefined && guest !== undefined);
    const taken = 2 ** 20;
    const grown = { ...NODE, domains: [dom0, { ...guest, held: guest.held + taken }] };
    const fake = new FakeXenstat();
    const sight = xenstatOver(fake.ofXen, 'lib');
    const { free: before } = await sight.look(NEVER);
    fake.later = [grown, { ...grown, free: NODE.free - taken }];
    const { free, domains } = await sight.look(NEVER);
    assert.deepEqual([free, domains[1]?.held], [before - 1_024, 262_144 + 1_024]);
    fake.calls.length = 0;
    fake.node = { ...grown, free: NODE.free };
    assert.equal((await sight.look(NEVER)).free, before);
    assert.deepEqual(fake.calls, ['get', 'free'], 'nobody has grown');
  });

  it('is called once at a time; while one hangs nobody is given what it brings, which is as old as its beginning', async () => {
    const fake = new FakeXenstat();
    const slow = gate();
    fake.before = slow.opened;
    const sight = xenstatOver(fake.ofXen, 'lib');
    const limit = new AbortController();
    const given = assert.rejects(sight.look(limit.signal), failsWith('ETIMEDOUT', /through lib was not finished/));
    limit.abort();
    await given;
    await assert.rejects(sight.look(NEVER), failsWith('ETIMEDOUT', /through lib was not finished/));
    slow.open();
    await slow.opened;
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(fake.calls, TWICE);
    assert.equal((await sight.look(NEVER)).domains.length, 2);
    assert.deepEqual(fake.calls, [...TWICE, 'get', 'free']);
  });

  it('that finds nothing says so, and is asked again', async () => {
    const fake = new FakeXenstat();
    fake.node = null;
    const sight = xenstatOver(fake.ofXen, 'lib');
    await assert.rejects(sight.look(NEVER), failsWith('EIO', /could not look.*Is xenstored alive/));
    fake.node = NODE;
    assert.equal((await sight.look(NEVER)).domains.length, 2);
  });

  it('that has lost xenstored, and so knows no domain’s name, is opened anew', async () => {
    const fake = new FakeXenstat();
    let opened = 0;
    const sight = xenstatOver(
      {
        ...fake.ofXen,
        init: () => {
          opened += 1;
          // A handle that was opened while xenstored is there knows the names.
          if (opened > 1) fake.node = NODE;
          return 'handle';
        },
      },
      'lib',
    );
    fake.node = { ...NODE, domains: [] };
    assert.equal((await sight.look(NEVER)).domains.length, 2);
    assert.deepEqual(fake.calls, ['get', 'free', 'uninit', ...TWICE]);
  });

  it('is not opened anew when it was closed meanwhile, and no handle is left', async () => {
    const fake = new FakeXenstat();
    const slow = gate();
    fake.before = slow.opened;
    fake.node = { ...NODE, domains: [] };
    const sight = xenstatOver(fake.ofXen, 'lib');
    const looking = assert.rejects(sight.look(NEVER), failsWith('EUNAVAILABLE'));
    await sight.close();
    slow.open();
    await looking;
    assert.deepEqual(fake.calls, ['get', 'free', 'uninit']);
  });

  it('that knows no domain’s name then either says so, and is asked again', async () => {
    const fake = new FakeXenstat();
    const sight = xenstatOver(fake.ofXen, 'lib');
    fake.node = { ...NODE, domains: [] };
    await assert.rejects(sight.look(NEVER), failsWith('EIO', /name of any domain.*Is xenstored alive/));
    fake.node = NODE;
    assert.equal((await sight.look(NEVER)).domains.length, 2);
  });

  it('gives its node back whatever is in it', async () => {
    const fake = new FakeXenstat();
    fake.node = { ...NODE, total: Number.NaN };
    await assert.rejects(xenstatOver(fake.ofXen, 'lib').look(NEVER));
    assert.deepEqual(fake.calls, ['get', 'free']);
  });

  it('is let go of once, not under a call, and not looked through afterwards', async () => {
    const fake = new FakeXenstat();
    const sight = xenstatOver(fake.ofXen, 'lib');
    await sight.close();
    await sight.close();
    assert.deepEqual(fake.calls, ['uninit']);
    await assert.rejects(sight.look(NEVER), failsWith('EUNAVAILABLE'));
    const busy = new FakeXenstat();
    const slow = gate();
    busy.before = slow.opened;
    const hanging = xenstatOver(busy.ofXen, 'lib');
    const looking = hanging.look(NEVER);
    await hanging.close();
    assert.deepEqual(busy.calls, ['get']);
    slow.open();
    await assert.rejects(looking, failsWith('EUNAVAILABLE'));
    assert.deepEqual(busy.calls, ['get', 'free']);
  });

  it('that does not get at Xen is no use', () => {
    const { ofXen } = new FakeXenstat();
    assert.throws(() => xenstatOver({ ...ofXen, init: () => null }, 'lib'), failsWith('ENODEV', /xenstat_init failed/));
  });
});

describe('libxenctrl', () => {
  function setUp(
    result: () => Promise<unknown> = () => Promise.resolve(0),
    { untouched = 0, podResult = 0 }: { readonly untouched?: number | null; readonly podResult?: number } = {},
  ) {
    const calls: string[] = [];
    const ofXen: Xenctrl = {
      open: () => 'handle',
      close: () => void calls.push('close'),
      setMaxmem: (handle, domid, limit) => {
        calls.push(`${String(handle)} ${domid} ${limit}`);
        return result();
      },
      untouched: () => Promise.resolve(untouched),
      setPodTarget: (handle, domid, target) => {
        calls.push(`${String(handle)} ${domid} has ${target} ready`);
        return Promise.resolve(podResult);
      },
    };
    return { calls, ofXen, limits: limitSetterOver(ofXen, 'lib') };
  }

  it('is told the domain and the KiB', async () => {
    const { calls, limits } = setUp();
    await limits.set(7, kib(201_024));
    assert.deepEqual(calls, ['handle 7 201024']);
  });

  it('that refuses says which limit of which domain', async () => {
    const { limits } = setUp(() => Promise.resolve(-1));
    await assert.rejects(limits.set(7, kib(8)), failsWith('EIO', /8 KiB was not set .* domain 7 .*xl dmesg/));
  });

  it('has memory ready for pages that a guest has never touched, and for no others', async () => {
    const { calls, limits } = setUp(undefined, { untouched: 28_787 });
    await limits.makeReady(7, READY);
    assert.deepEqual(calls, ['handle 7 has 131136 ready']);
    for (const untouched of [0, null]) {
      const other = setUp(undefined, { untouched });
      await other.limits.makeReady(7, READY);
      assert.deepEqual(other.calls, []);
    }
  });

  it('that has no memory for those says so', async () => {
    const { limits } = setUp(undefined, { untouched: 28_787, podResult: -1 });
    await assert.rejects(limits.makeReady(7, READY), failsWith('EIO', /ready for all of 131136 pages of domain 7/));
  });

  it('is let go of once, and never under a call', async () => {
    const idle = setUp();
    idle.limits.close();
    idle.limits.close();
    assert.deepEqual(idle.calls, ['close']);
    await assert.rejects(idle.limits.set(1, kib(4)), failsWith('EIO', /after it had been closed/));
    const slow = gate();
    const busy = setUp(() => slow.opened.then(() => 0));
    const setting = busy.limits.set(1, kib(4));
    busy.limits.close();
    slow.open();
    await setting;
    assert.deepEqual(busy.calls, ['handle 1 4']);
  });

  it('that does not get at Xen is no use', () => {
    const { ofXen } = setUp();
    assert.throws(
      () => limitSetterOver({ ...ofXen, open: () => null }, 'lib'),
      failsWith('ENODEV', /xc_interface_open failed/),
    );
  });
});

describe('a library that is missing', () => {
  const isDom0 = existsSync('/proc/xen/privcmd');

  it('is ENODEV, with where it was looked for and what to install', { skip: isDom0 }, async () => {
    const text = /there is no lib(xenstat|xenctrl) in \/usr\/lib.*Install libxenmisc/;
    for (const open of [openXenstat, openLimitSetter]) await assert.rejects(open(), failsWith('ENODEV', text));
  });

  it('is found by its name with any version, and not by a longer name', () => {
    assert.match(findLibrary('c'), /\/libc\.so(\.[\d.]+)?$/);
    assert.throws(() => findLibrary('no-such-thing'), HypervisorError);
    const folder = mkdtempSync(join(tmpdir(), 'selfballoon-libraries-'));
    for (const version of ['4.14', '4.17', '4.9']) writeFileSync(join(folder, `libxenstat.so.${version}`), '');
    const of = (running: string | null): string => findLibrary('xenstat', [folder], running);
    assert.equal(of(null), join(folder, 'libxenstat.so.4.17'));
    rmSync(folder, { recursive: true });
  });

  it('is that of the Xen that runs, which answers no other, and the newest where there is none', (test) => {
    const folders = ['one', 'two'].map(() => mkdtempSync(join(tmpdir(), 'selfballoon-libraries-')));
    test.after(() => {
      for (const folder of folders) rmSync(folder, { recursive: true });
    });
    const [one = '', two = ''] = folders;
    for (const version of ['4.17.0', '4.20', '4.1']) writeFileSync(join(one, `libxenctrl.so.${version}`), '');
    writeFileSync(join(two, 'libxenctrl.so.4.19'), '');
    const of = (running: string | null): string => findLibrary('xenctrl', folders, running);
    assert.equal(of('4.17'), join(one, 'libxenctrl.so.4.17.0'));
    assert.equal(of('4.1'), join(one, 'libxenctrl.so.4.1'));
    assert.equal(of('4.19'), join(two, 'libxenctrl.so.4.19'));
    assert.equal(of('4.18'), join(one, 'libxenctrl.so.4.20'));
  });

  it('is ENODEV where it cannot be loaded or lacks a call', async () => {
    const nothing = (): null => null;
    await assert.rejects(loadCalls('/no/such/libxenstat.so', nothing), failsWith('ENODEV', /cannot be used/));
    const lacking = loadCalls(findLibrary('c'), (func) => func('int xc_no_such_call(void *handle)'));
    await assert.rejects(lacking, failsWith('ENODEV', /cannot be used/));
  });
});
