/** Protects the benchmark of bursts: how its figures come from what was seen, and that it tells when they mean nothing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { latenciesOf, latencyOf, rowsOf, whatIsWrong, type Burst } from '../../bench/bursts/figures.js';
import { alarmsIn, carriedOutIn } from '../../bench/bursts/host.js';
import { SETTINGS, settingNames, settingsNamed } from '../../bench/bursts/settings.js';

const SCRIPT = fileURLToPath(new URL('../../bench/bursts/main.js', import.meta.url));

const burst = (over: Partial<Burst> = {}): Burst => ({
  availableMib: 90,
  stallAt: 50,
  told: null,
  commandAt: 150,
  heldAt: 3_000,
  kills: 0,
  uncertaintyMs: 0.5,
  ...over,
});

describe('the latency of a burst', () => {
  it('is from the stall to the command, and 0 where the command was first or made waiting needless', () => {
    assert.equal(latencyOf(burst()), 100);
    assert.equal(latencyOf(burst({ commandAt: 20 })), 0);
    assert.equal(latencyOf(burst({ stallAt: null })), 0);
  });

  it('is without end where nobody answered, and not there where nothing was needed', () => {
    assert.equal(latencyOf(burst({ commandAt: null })), Infinity);
    assert.equal(latencyOf(burst({ stallAt: null, commandAt: null })), null);
  });

  it('is put in order by size, and not by the alphabet', () => {
    const bursts = [1_000, 200, 30].map((commandAt) => burst({ stallAt: 10, commandAt }));
    assert.deepEqual(latenciesOf([...bursts, burst({ stallAt: null, commandAt: null })]), [20, 190, 990]);
  });
});

describe('the table', () => {
  const [agent] = settingsNamed('agent');
  const valueOf = (bursts: readonly Burst[], name: string): number | undefined => {
    assert.ok(agent !== undefined);
    return rowsOf(agent, bursts).find((row) => row.name === `${agent.words}: ${name}`)?.value;
  };

  it('has the median, the 99th percentile and the longest of all bursts', () => {
    const hundred = Array.from({ length: 100 }, (_, n) => burst({ stallAt: 0, commandAt: 100 - n }));
    assert.equal(valueOf(hundred, 'stall to command, median'), 50);
    assert.equal(valueOf(hundred, 'stall to command, p99'), 99);
    assert.equal(valueOf(hundred, 'stall to command, longest'), 100);
  });

  it('counts apart what came before the stall, and adds up who was killed', () => {
    const bursts = [burst(), burst({ commandAt: 20 }), burst({ stallAt: null, kills: 1 }), burst({ kills: 2 })];
    assert.equal(valueOf(bursts, 'of these, command before the stall'), 2);
    assert.equal(valueOf(bursts, 'killed processes'), 3);
  });

  it('has how long an alarm takes from the daemon to the wire, where it was the alarm that was answered', () => {
    const at = (ms: number): Burst['told'] => ({ at: ms, cause: 'stalled' });
    const bursts = [burst({ told: at(140) }), burst({ told: at(149) }), burst({ told: at(400) }), burst()];
    assert.equal(valueOf(bursts, 'alarm heard to command, median'), 1);
    assert.equal(valueOf(bursts, 'demand met after, median'), 3_000);
    assert.equal(valueOf([burst({ heldAt: null }), burst()], 'demand met after, median'), 3_000);
  });

  it('has nothing to say of alarms where nobody in the guest raises any', () => {
    const [alone] = settingsNamed('stats-5');
    assert.ok(alone !== undefined);
    const names = rowsOf(alone, [burst()]).map(({ name }) => name);
    assert.ok(names.length > 0 && !names.some((name) => /alarm/.test(name)), names.join());
  });

  it('has the goals of the own agent, and a round where there are statistics alone', () => {
    const goals = SETTINGS.flatMap((setting) => rowsOf(setting, [burst()]))
      .filter(({ name, goal }) => /median|p99/.test(name) && goal !== null)
      .map(({ goal }) => goal);
    assert.deepEqual(goals, [100, 300, 1_000, 1_000, 5_000, 5_000, 10_000, 10_000, 100, 300, 1_000, 1_000]);
  });
});

describe('figures that mean nothing', () => {
  it('are those of bursts that needed nothing, or that nobody answered', () => {
    assert.equal(whatIsWrong([burst(), burst({ stallAt: null }), burst({ commandAt: 20_000 })]), null);
    assert.match(
      whatIsWrong([burst(), burst({ stallAt: null, commandAt: null })]) ?? '',
      /^1 of 2 bursts needed nothing/,
    );
    assert.equal(whatIsWrong([burst({ commandAt: null })]), '1 of 1 bursts were not answered at all');
  });
});

describe('an alarm in the journal', () => {
  it('is found in its record, by the clock of this process', () => {
    const events = [{ kind: 'guest-alarm', guest: 'qmp:a', alarm: { at: performance.timeOrigin + 12, cause: 'low' } }];
    const [found] = alarmsIn(JSON.stringify({ kind: 'step', at: 0, events: [{ kind: 'time-passed' }, ...events] }));
    assert.equal(found?.cause, 'low');
    assert.equal(Math.round(found.atMs), 12);
    assert.deepEqual(alarmsIn('{"kind":"step","events":[]}'), []);
    assert.deepEqual(alarmsIn(''), []);
  });
});

describe('a target in the journal', () => {
  const at = (ms: number): number => performance.timeOrigin + ms;
  const asked = { kind: 'step', at: at(5), events: [], actions: [{ kind: 'set-target', id: 7, target: 512 }] };
  const done = (id: number) => ({ kind: 'step', at: at(30), events: [{ kind: 'action-done', id }], actions: [] });
  const text = (...steps: readonly object[]): string => steps.map((step) => `${JSON.stringify(step)}\n`).join('');

  it('counts from when it was carried out', () => {
    const [found, ...more] = carriedOutIn(text(asked, done(7)));
    assert.deepEqual([found?.mib, Math.round(found?.atMs ?? NaN), more.length], [2, 30, 0]);
  });

  it('does not count before, nor where it was something else or is only half written', () => {
    assert.deepEqual(carriedOutIn(text(asked)), []);
    assert.deepEqual(carriedOutIn(text(asked, done(8))), []);
    assert.deepEqual(carriedOutIn(text(asked, done(7)).slice(0, -5)), []);
    assert.deepEqual(carriedOutIn(''), []);
  });
});

describe('the settings', () => {
  it('are chosen by name, and a slip is told', () => {
    assert.deepEqual(settingsNamed(settingNames()), SETTINGS);
    assert.deepEqual(
      settingsNamed('stats-10,agent').map(({ name }) => name),
      ['stats-10', 'agent'],
    );
    assert.throws(() => settingsNamed('stats-2'), /"stats-2" is not one of agent,stats-1,stats-5,stats-10/);
    assert.throws(() => settingsNamed(''), /"" is not one of/);
  });
});

describe('the benchmark', () => {
  const run = (args: readonly string[], env = process.env) =>
    spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8', env });

  it('says how it is called when it was called wrongly', () => {
    for (const args of [['--bursts', '0'], ['--bursts', 'x'], ['--settings', 'none'], ['--what'], ['more']]) {
      const { status, stderr } = run(args);
      assert.equal(status, 2, args.join(' '));
      assert.match(stderr, /^usage: npm run bench:bursts/m);
    }
  });

  it('says how the lab is set up where there is none', () => {
    const { status, stderr } = run([], { ...process.env, XDG_CACHE_HOME: '/nonexistent' });
    assert.equal(status, 2);
    assert.match(stderr, /npm run lab:setup/);
  });
});
