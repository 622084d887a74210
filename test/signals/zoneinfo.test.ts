import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseZoneinfo } from '../../src/signals/zoneinfo.js';
import { pages } from '../../src/units.js';
import { procText } from './proc-roots.js';

type Shown = readonly [number | string, number | string];

function values(text: string, total: number | null = null): Shown {
  const { reserve, maxPfn } = parseZoneinfo(text, total === null ? null : pages(total));
  return [reserve.known ? reserve.value : reserve.reason, maxPfn.known ? maxPfn.value : maxPfn.reason];
}

interface ZoneText {
  readonly node?: number;
  readonly name?: string;
  readonly high?: number | string;
  readonly boost?: number | string;
  readonly present?: number;
  readonly managed?: number;
  readonly protection?: string;
  readonly start?: number | string;
}

/** A zone as a newer kernel prints it, with the traps that are in every real one. */
function zone(options: ZoneText = {}): string {
  const {
    node = 0,
    name = 'Normal',
    high = 10,
    boost = 0,
    present = 1000,
    managed = 900,
    protection = '(0, 0)',
    start = 1,
  } = options;
  const head = `Node ${node}, zone ${name.padStart(8)}
  pages free     5
        boost    ${boost}
        min      5
        low      7
        high     ${high}
        spanned  ${present}
        present  ${present}
        managed  ${managed}
        protection: ${protection}
`;
  if (present === 0) return head;
  return `${head}      nr_free_pages 5
  pagesets
    cpu: 0
              count:    5
              high:     777777
              high_min: 888888
  vm stats threshold: 4
  start_pfn:           ${start}
`;
}

describe('/proc/zoneinfo', () => {
  const machines: readonly (readonly [string, number | string, number])[] = [
    ['linux-6.18', 29_978, 6_553_600],
    ['numa-two-nodes', 189_777, 17_039_360],
    ['big-24-tib', 3_399_568, 6_442_450_944],
    ['xen-guest-256-mib', 2232, 65_536],
    ['linux-3.10', 17_741, 1_310_720],
    ['linux-2.6.32', 'not-reported', 262_128], // says nothing of what is managed
  ];
  for (const [kernel, reserve, maxPfn] of machines) {
    it(`reads ${kernel}`, () => {
      assert.deepEqual(values(procText(kernel, 'zoneinfo')), [reserve, maxPfn]);
    });
  }

  it('adds the largest protection to the high watermark, at most what is managed', () => {
    assert.deepEqual(values(zone()), [10, 1001]);
    assert.deepEqual(values(zone({ protection: '(7, 5, 3)' })), [17, 1001]);
    assert.deepEqual(values(zone({ managed: 4 })), [4, 1001]);
  });

  it("leaves out what a watermark is boosted by for the moment, which is not in the kernel's own number", () => {
    assert.deepEqual(values(zone({ high: 522, boost: 512 })), [10, 1001]);
    assert.deepEqual(values(zone({ high: 3, boost: 512 })), [0, 1001]);
    assert.deepEqual(values(zone({ boost: 'x' })), ['malformed', 'malformed']);
    assert.deepEqual(values(zone().replace(/ +boost.*\n/, '')), [10, 1001]);
  });

  it('sums the zones of all nodes and takes the highest end, wherever it stands', () => {
    const text = zone({ node: 0, start: 5000 }) + zone({ node: 1, start: 1 }) + zone({ node: 1, name: 'Movable' });
    assert.deepEqual(values(text), [30, 6000]);
  });

  it('adds nothing for a zone without memory', () => {
    assert.deepEqual(values(zone() + zone({ name: 'Movable', present: 0, managed: 0, high: 32 })), [10, 1001]);
  });

  it('does not believe zones that together hold less than MemTotal', () => {
    assert.deepEqual(values(zone(), 1000), [10, 1001]);
    assert.deepEqual(values(zone(), 1001), ['implausible', 'implausible']);
  });

  it('does not believe a zone that manages more than it has', () => {
    assert.deepEqual(values(zone({ managed: 1001 })), ['implausible', 'implausible']);
  });

  it('notices that zones are missing after one that protects memory from them', () => {
    const low = zone({ name: 'DMA', protection: '(0, 5, 9, 9)' });
    assert.deepEqual(values(low), ['malformed', 'malformed']);
    assert.deepEqual(values(low + zone({ name: 'DMA32' })), ['malformed', 'malformed']);
    assert.deepEqual(values(low + zone({ name: 'DMA32' }) + zone({ start: 7 })), [39, 1007]);
    assert.deepEqual(values(low + zone({ name: 'DMA32' }) + zone({ node: 1 })), ['malformed', 'malformed']);
  });

  const bad: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['no zone', 'pages free 5\n'],
    ['a number before the first zone', `        high     5\n${zone()}`],
    ['a zone twice', zone() + zone()],
    ['a field twice', zone().replace('        min      5', '        high     9')],
    ['a negative watermark', zone({ high: '-1' })],
    ['a watermark of 2^53', zone({ high: '9007199254740992' })],
    ['a hexadecimal start_pfn', zone({ start: '0x1000' })],
    ['a negative protection', zone({ protection: '(0, -5)' })],
    ['a protection without its end', zone({ protection: '(0, 5' })],
    ['an empty protection', zone({ protection: '()' })],
    ['a protection of a hundred zones', zone({ protection: `(${'1, '.repeat(99)}1)` })],
    ['CRLF', zone().replaceAll('\n', '\r\n')],
    ['a heading without a name', zone().replace('zone   Normal', 'zone')],
    ['no newline at its end', zone().slice(0, -1)],
    ['no start_pfn in a zone with memory', zone().replace(/ +start_pfn.*\n/, '')],
    ['no present', zone().replace(/ +present.*\n/, '')],
    ['more zones than there can be', Array.from({ length: 17_000 }, (_, node) => `Node ${node}, zone A\n`).join('')],
  ];
  for (const [name, text] of bad) {
    it(`does not believe a text with ${name}`, () => {
      assert.deepEqual(values(text), ['malformed', 'malformed']);
    });
  }

  it('says which zone is wrong', () => {
    const { reserve } = parseZoneinfo(zone({ high: 'x' }), null);
    assert.match(reserve.known ? '' : reserve.detail, /\/proc\/zoneinfo: Node 0, zone Normal: .*high +x/);
  });
});
