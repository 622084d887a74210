/** Protects what is made of the words of Xen's tools, as Xen 4.17 prints them, and of anything else they may print. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HypervisorError } from '../../../src/errors.js';
import type { RunTool } from '../../../src/hypervisors/xen-host/tool.js';
import { openXlSight } from '../../../src/hypervisors/xen-host/xl-sight.js';
import { parseSight } from '../../../src/hypervisors/xen-host/xl-text.js';
import { useSeed } from '../../support/seed.js';
import { NEVER } from './support/rig.js';

useSeed();

/** Recorded in dom0 of Xen 4.17 with one paravirtual guest; of `xl info` the part about memory. */
const INFO = `host                   : xenlab
release                : 6.1.0-28-amd64
nr_cpus                : 2
total_memory           : 4095
free_memory            : 2996
sharing_freed_memory   : 0
sharing_used_memory    : 0
outstanding_claims     : 0
xen_version            : 4.17.5
`;
const LIST = `Name                                        ID   Mem VCPUs\tState\tTime(s)
Domain-0                                     0   800     2     r-----     259.8
one                                          1   256     1     -b----      57.0
`;
const TOP = `      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID
  Domain-0 -----r        266    0.0     819200   19.5     819200      19.5     2    0        0        0    0        0        0        0          0          0    0
       one --b---         57    0.0     262144    6.3     263168       6.3     1    0        0        0    1        0       56        0       4140          0    0
`;
const TEXTS = { info: INFO, list: LIST, top: TOP };

const refusal = (texts: Partial<typeof TEXTS>): string => {
  const sight = parseSight({ ...TEXTS, ...texts });
  return sight.known ? 'believed' : `${sight.reason}: ${sight.detail}`;
};

describe('what xl and xentop print', () => {
  it('says what the host has and each domain holds, in KiB', () => {
    assert.deepEqual(parseSight(TEXTS), {
      known: true,
      value: {
        total: 4_193_280,
        free: 3_067_904,
        domains: [
          { domid: 0, held: 819_200, maximum: 819_200, isDying: false },
          { domid: 1, held: 262_144, maximum: 263_168, isDying: false },
        ],
      },
    });
  });

  it('says of a domain without a limit that it has none', () => {
    const words = TOP.replace('819200      19.5     2 ', 'no limit       n/a     2 ');
    const huge = TOP.replace('819200      19.5     2 ', '4503599627370495      n/a     2 ');
    for (const top of [words, huge]) {
      const sight = parseSight({ ...TEXTS, top });
      assert.deepEqual(sight.known && sight.value.domains.map(({ maximum }) => maximum), [null, 263_168]);
    }
  });

  it('says of a domain that is being taken down that it is', () => {
    const sight = parseSight({ ...TEXTS, list: LIST.replace('-b----', '--ps-d') });
    assert.deepEqual(sight.known && sight.value.domains.map(({ isDying }) => isDying), [false, true]);
  });

  it('leaves out a domain that only one of them knows', () => {
    const sight = parseSight({ ...TEXTS, list: LIST.replace(/^one.*\n/m, '') });
    assert.deepEqual(sight.known && sight.value.domains.map(({ domid }) => domid), [0]);
  });

  it('may have blanks in a domain’s name', () => {
    const named = (text: string): string => text.replace(/^( *)one /m, '$1web shop 2 ');
    const sight = parseSight({ info: INFO, list: named(LIST), top: named(TOP) });
    assert.deepEqual(sight.known && sight.value.domains.map(({ domid, held }) => [domid, held]), [
      [0, 819_200],
      [1, 262_144],
    ]);
  });

  it('that lacks what it should have is malformed, and says which', () => {
    assert.match(refusal({ info: '' }), /^malformed: `xl info` has no total_memory/);
    assert.match(refusal({ info: INFO.replace('free_memory ', 'free_lunch ') }), /xl info/);
    assert.match(refusal({ info: INFO.replace('2996', '-1') }), /xl info/);
    assert.match(refusal({ info: INFO.replace('2996', '9'.repeat(30)) }), /xl info/);
    assert.match(refusal({ list: '' }), /^malformed: `xentop` shows no domain/);
    assert.match(refusal({ top: 'xentop: cannot open xenstat' }), /xentop/);
    assert.match(refusal({ top: TOP.replaceAll('819200', 'much').replaceAll('262144', '-1') }), /xentop/);
  });

  it('throws for no text at all', () => {
    const text = fc.oneof(fc.string(), fc.constantFrom(INFO, LIST, TOP), fc.string({ maxLength: 5_000 }));
    fc.assert(
      fc.property(text, text, text, (info, list, top) => {
        parseSight({ info, list, top });
      }),
    );
  });
});

describe('looking through the tools', () => {
  const tools =
    (texts: Partial<typeof TEXTS>, ran: string[] = []): RunTool =>
    (command, args) => {
      ran.push([command, ...args].join(' '));
      const all = { ...TEXTS, ...texts };
      return Promise.resolve(command === 'xentop' ? all.top : args[0] === 'info' ? all.info : all.list);
    };

  it('runs the three of them, and nothing before', async () => {
    const ran: string[] = [];
    const sight = openXlSight(tools({}, ran));
    assert.deepEqual(ran, []);
    assert.equal((await sight.look(NEVER)).domains.length, 2);
    // What is free comes last: what a guest takes meanwhile must not count twice.
    assert.deepEqual(ran, ['xl list', 'xentop -b -f -i 1', 'xl info']);
    await sight.close();
  });

  it('that fails says of which kind it was and what to try by hand', async () => {
    const broken = openXlSight(() => Promise.reject(new Error('spawn xl ENOENT')));
    await assert.rejects(broken.look(NEVER), (error) => {
      assert.ok(error instanceof HypervisorError && error.code === 'EIO');
      assert.match(error.message, /spawn xl ENOENT\. Run `xl info`/);
      return true;
    });
    await assert.rejects(openXlSight(tools({ info: '' })).look(NEVER), /xl info` has no total_memory/);
  });

  it('that takes too long is ended, and says so', async () => {
    const limit = new AbortController();
    const slow: RunTool = (_command, _args, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(new Error('killed'));
        });
      });
    const looking = openXlSight(slow).look(limit.signal);
    limit.abort();
    await assert.rejects(looking, (error) => error instanceof HypervisorError && error.code === 'ETIMEDOUT');
  });

  it('that is under way is ended when it is closed, and none comes after', async () => {
    const hung: RunTool = (_command, _args, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(new Error('killed'));
        });
      });
    const sight = openXlSight(hung);
    const looking = assert.rejects(sight.look(NEVER));
    await sight.close();
    await looking;
    await assert.rejects(sight.look(NEVER), /was closed/);
  });

  it('fails where there are no tools, as on this machine', async (test) => {
    const sight = openXlSight();
    const outcome = await sight.look(AbortSignal.timeout(10_000)).then(
      () => null,
      (error: unknown) => error,
    );
    if (outcome === null) test.skip('this is a dom0');
    else assert.ok(outcome instanceof HypervisorError && outcome.code === 'EIO');
  });
});
