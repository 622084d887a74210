/** Protects the benchmark of a whole host: how its figures come from what was seen, and that it tells when the work was not done. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { behindTheBeat, latenessOf, quantile, rowsOf, whatIsMissing, type Seen } from '../../bench/host/figures.js';
import type { MachineRecord } from '../../bench/host/machines-process.js';

const SCRIPT = fileURLToPath(new URL('../../bench/host/main.js', import.meta.url));
const run = (...args: readonly string[]) => spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8' });

const record = (over: Partial<MachineRecord> = {}): MachineRecord => ({
  looks: [0, 1_000, 2_000, 3_000],
  targets: 4,
  isWhole: false,
  ...over,
});
const seen = (over: Partial<Seen> = {}): Seen => ({
  measuredMs: 4_000,
  cpuMs: 2,
  memory: { rssKib: 61_440, pssKib: 30_720, privateKib: 20_480, rssPeakKib: 71_680 },
  machines: [record(), record()],
  wholeAtEnd: 2,
  bareUs: 90,
  ...over,
});

describe('how late looks are', () => {
  it('is the time since the look before at the same machine, less the interval, of all machines in order', () => {
    const machines = [record({ looks: [0, 1_004, 2_005] }), record({ looks: [500, 1_502] }), record({ looks: [7] })];
    assert.deepEqual(latenessOf(machines), [1, 2, 4]);
  });

  it('is told against an even beat too, by which a delay at every look adds up, and a look left out is not late', () => {
    const machines = [record({ looks: [10, 1_013, 2_016] }), record({ looks: [500, 1_498, 3_502] })];
    assert.deepEqual(behindTheBeat(machines), [0, 0, 2, 3, 4, 6]);
  });

  it('has the median and the quantiles of what is there, and none where nothing is', () => {
    const hundred = Array.from({ length: 100 }, (_, n) => n + 1);
    assert.deepEqual(
      [0.01, 0.5, 0.99, 1].map((share) => quantile(hundred, share)),
      [1, 50, 99, 100],
    );
    assert.ok(Number.isNaN(quantile([], 0.5)));
  });
});

describe('the table', () => {
  it('has CPU time for each look, and the memory in MiB', () => {
    const rows = rowsOf(seen());
    const valueOf = (name: RegExp): number | undefined => rows.find((row) => name.test(row.name))?.value;
    assert.equal(valueOf(/^CPU for one guest and round/), 250);
    assert.equal(valueOf(/bare client/), 90);
    assert.equal(valueOf(/^resident memory of the daemon/), 60);
    assert.equal(valueOf(/^private/), 20);
    assert.equal(valueOf(/fewest$/), 1);
    assert.equal(valueOf(/^targets set/), 1);
  });

  it('has the three goals of a host with 200 guests', () => {
    const goals = rowsOf(seen()).flatMap(({ unit, goal }) => (goal === null ? [] : [`${goal} ${unit}`]));
    assert.deepEqual(goals, ['250 µs', '100 MiB', '10 ms']);
  });
});

describe('the work', () => {
  it('was done when every guest was looked at and given targets, and has everything back', () => {
    assert.equal(whatIsMissing(seen()), null);
    const slow = record({ looks: [0, 1_900], targets: 1 });
    assert.equal(whatIsMissing(seen({ machines: [record(), slow] })), null);
  });

  it('was not done when a guest was left out, and how is told', () => {
    const beside = (over: Partial<MachineRecord>): string | null =>
      whatIsMissing(seen({ machines: [record(), record(over)] }));
    assert.equal(beside({ looks: [0] }), '1 of 2 guests had fewer than 2 looks');
    assert.equal(beside({ targets: 0 }), '1 of 2 guests were never given a target');
    assert.equal(whatIsMissing(seen({ wholeAtEnd: 1 })), '1 of 2 guests were not given everything back at the end');
  });
});

describe('the benchmark', () => {
  it('drives its machines through the real daemon and prints every figure', () => {
    const { status, stdout, stderr } = run('--guests', '3', '--seconds', '10', '--warm-up', '0');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^3 guests, a round a second, measured for 10 s; load before: /m);
    for (const { name } of rowsOf(seen())) assert.match(stdout, new RegExp(`^${name} +-?[\\d.,]+`, 'm'));
  });

  it('says how it is called when it was called wrongly', () => {
    for (const args of [['--guests', '0'], ['--guests', '4097'], ['--seconds', 'x'], ['--what'], ['more']]) {
      const { status, stderr } = run(...args);
      assert.equal(status, 2, args.join(' '));
      assert.match(stderr, /^usage: npm run bench:host/m);
    }
  });
});
