/** Every golden vector of the balloon driver, and the replayer that the conformance command uses. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { createDriverReplay } from '../../src/cli/conformance/driver-lines.js';
import { fixture } from '../support/paths.js';

interface Line {
  readonly scenario: number;
  readonly op: string;
  readonly stats: Readonly<Record<string, number>>;
  readonly [field: string]: unknown;
}

function isLine(value: unknown): value is Line {
  return typeof value === 'object' && value !== null && 'scenario' in value && 'op' in value && 'stats' in value;
}

function readVectors(name: string): Line[] {
  const text = gunzipSync(readFileSync(fixture('vectors', `balloon-driver.${name}.jsonl.gz`))).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line))
    .filter(isLine);
}

const VECTORS = [
  { name: 'hotplug', hotplug: true, count: 806 },
  { name: 'no-hotplug', hotplug: false, count: 889 },
];

describe('golden vectors of the balloon driver', () => {
  for (const { name, hotplug, count } of VECTORS) {
    for (const options of [{ hotplug }, {}]) {
      it(`${name}: every line, ${'hotplug' in options ? 'told' : 'finding out'} which kind it is`, () => {
        const replayer = createDriverReplay(options);
        const lines = readVectors(name);
        assert.equal(lines.length, count);
        for (const line of lines) assert.deepEqual(replayer.replay(line), { agrees: true });
      });
    }
  }

  it('agree when the lines of different scenarios are mixed', () => {
    const replayer = createDriverReplay();
    const lines = readVectors('hotplug').filter(({ scenario }) => scenario < 4);
    const sorted = lines.map((line, at) => ({ line, at })).sort((a, b) => (a.at % 7) - (b.at % 7) || a.at - b.at);
    const queues = new Map<number, Line[]>();
    for (const line of lines) queues.set(line.scenario, [...(queues.get(line.scenario) ?? []), line]);
    for (const { line } of sorted) {
      const next = queues.get(line.scenario)?.shift();
      assert.deepEqual(replayer.replay(next), { agrees: true });
    }
  });
});

const INIT = readVectors('no-hotplug')[0];
const PROCESS = { ...INIT, n: 1, op: 'process', args: {} };

describe('the replayer of driver lines', () => {
  it('notices a change in any value of a line', () => {
    const line = { ...INIT, result: 0, stats: { ...INIT?.stats } };
    const changes: readonly [string, object][] = [
      ['result', { result: -12 }],
      ['scheduledSeconds', { scheduledSeconds: 0 }],
      ['stats.current_pages', { stats: { ...INIT?.stats, current_pages: 1 } }],
      ['stats.max_retry_count', { stats: { ...INIT?.stats, max_retry_count: 7 } }],
      ['head', { head: [1] }],
      ['length', { length: 1 }],
      ['fnv1a32', { fnv1a32: 1 }],
      ['lent', { lent: [] }],
      ['hypervisorFreePages', { hypervisorFreePages: 1 }],
      ['pendingHotplugPages', { pendingHotplugPages: 1 }],
    ];
    for (const [name, change] of changes) {
      const comparison = createDriverReplay().replay({ ...line, ...change });
      assert.ok(!comparison.agrees);
      assert.equal(comparison.where, `scenario 0, line 0 (init): ${name}`);
    }
  });

  it('refuses a line that is none, and says what is wrong with it', () => {
    const bad: readonly [RegExp, unknown][] = [
      [/the line/, 'process'],
      [/op/, { ...INIT, op: 'explode' }],
      [/args\.bootPages/, { ...INIT, args: {} }],
      [/fnv1a32/, { ...INIT, fnv1a32: -1 }],
      [/stats\.retry_count/, { ...INIT, stats: { ...INIT?.stats, retry_count: 0.5 } }],
      [/stats\.colour/, { ...INIT, stats: { ...INIT?.stats, colour: 1 } }],
    ];
    for (const [what, line] of bad) assert.throws(() => createDriverReplay().replay(line), what);
  });

  it('refuses a scenario without its beginning, and a loan that was never made', () => {
    const replayer = createDriverReplay();
    assert.throws(() => replayer.replay(PROCESS), /scenario 0 has not begun/);
    replayer.replay(INIT);
    assert.throws(() => replayer.replay({ ...PROCESS, op: 'free_ballooned', args: { loan: 0 } }), /never made/);
  });

  it('holds to one kind of guest once a line has told them apart', () => {
    const replayer = createDriverReplay();
    const stats = { ...INIT?.stats };
    const target = Number(stats['current_pages']) + 1;
    replayer.replay(INIT);
    const set = { ...PROCESS, op: 'set_new_target', args: { targetPages: target }, scheduledSeconds: 0 };
    assert.ok(replayer.replay({ ...set, stats: { ...stats, target_pages: target } }).agrees);
    const grown = { ...stats, target_pages: target, total_pages: Number(stats['total_pages']) + 1024 };
    assert.ok(replayer.replay({ ...PROCESS, n: 2, stats: grown, pendingHotplugPages: 1024 }).agrees);
    assert.ok(!replayer.replay({ ...PROCESS, n: 3, stats }).agrees);
  });
});
