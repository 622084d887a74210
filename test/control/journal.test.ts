/** Protects the journal's replay: that a changed record is noticed, also a start, and that one of another form is told as such. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { replayJournal } from '../../src/cli/commands/replay.js';
import type { Event } from '../../src/control/events.js';
import {
  createReplay,
  encodeState,
  JOURNAL_FORMAT,
  type Difference,
  type JournalRecord,
  type StartRecord,
} from '../../src/control/journal.js';
import type { LimitsByName } from '../../src/control/limits.js';
import type { GuestDescription } from '../../src/control/ports.js';
import { createStep, initialState, type ControlState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { millis, pages } from '../../src/units.js';
import { readingOf } from '../support/readings.js';

const step = createStep(selfPolicy);

const GUEST: GuestDescription = {
  id: 'fake/web',
  name: 'web',
  capabilities: { canSetTarget: true, hasOverflowTier: true, isSimulated: true },
};

/** What a daemon would write: `files` of a rotated set, each with a start and three readings, one after the other. */
function journalOf(files: number, run?: string, guest = GUEST, limits: LimitsByName = {}): JournalRecord[] {
  const settings = { tunables: DEFAULT_TUNABLES, isDryRun: false, hasFrontswap: true, limits };
  let state: ControlState<SelfshrinkMemory> = initialState(settings);
  let at = millis(1000);
  const records: JournalRecord[] = [];
  const take = (...events: readonly Event[]): void => {
    const { state: next, actions, decisions, wakeAt } = step(state, events, at);
    state = next;
    records.push({ kind: 'step', at, events, actions, decisions, wakeAt });
    at = millis(at + 5000);
  };
  for (let file = 0; file < files; file += 1) {
    const named = run === undefined ? {} : { run };
    records.push({
      kind: 'start',
      format: JOURNAL_FORMAT,
      policy: 'selfballoon',
      at,
      ...named,
      state: encodeState(state),
    });
    if (file === 0) take({ kind: 'guest-came', guest });
    for (const committed of [50_000, 60_000, 40_000]) {
      take({ kind: 'reading', guest: guest.id, reading: readingOf({ committed: committed + file, at }) });
      take({ kind: 'time-passed' });
    }
  }
  return JSON.parse(JSON.stringify(records)) as JournalRecord[];
}

function differencesIn(records: readonly JournalRecord[]): readonly Difference[] {
  const replay = createReplay(() => step);
  return records.flatMap((record) => replay.take(record) ?? []);
}

/** Changes the last start, as if another state had been there. */
const changeLastStart = (records: readonly JournalRecord[], change: (text: string) => string): JournalRecord[] => {
  const last = records.findLastIndex(({ kind }) => kind === 'start');
  return records.map((record, at) =>
    at === last ? (JSON.parse(change(JSON.stringify(record))) as StartRecord) : record,
  );
};

describe('a later start of one run', () => {
  it('is the state that the steps before it lead to', () => {
    assert.deepEqual(differencesIn(journalOf(3, 'a run')), []);
  });

  it('is told where it is another one, with the parts that differ and no others', () => {
    const changed = changeLastStart(journalOf(3, 'a run'), (text) =>
      text.replace('"selfballoon_interval":5', '"selfballoon_interval":7'),
    );
    const [first] = differencesIn(changed);
    assert.equal(first?.kind, 'start');
    assert.deepEqual(first.recorded, { tunables: { ...DEFAULT_TUNABLES, selfballoon_interval: 7 } });
    assert.deepEqual(first.decided, { tunables: DEFAULT_TUNABLES });
  });

  it('is told where a guest is missing in it', () => {
    const changed = changeLastStart(journalOf(2, 'a run'), (text) => {
      const start = JSON.parse(text) as StartRecord & { readonly state: object };
      return JSON.stringify({ ...start, state: { ...start.state, guests: [] } });
    });
    const [first] = differencesIn(changed);
    assert.equal(first?.kind, 'start');
    assert.deepEqual(first.recorded, { 'guest fake/web': null });
  });

  it('is told where a file of the set is left out', () => {
    const records = journalOf(3, 'a run');
    const starts = records.flatMap(({ kind }, at) => (kind === 'start' ? [at] : []));
    const [first] = differencesIn(records.filter((_, at) => at < (starts[1] ?? 0) || at >= (starts[2] ?? 0)));
    assert.equal(first?.kind, 'start');
  });

  it('is not compared where it may be another run', () => {
    const change = (text: string): string => text.replace('"selfballoon_interval":5', '"selfballoon_interval":7');
    const kindsOf = (records: readonly JournalRecord[]): readonly string[] =>
      differencesIn(records).map(({ kind }) => kind);
    const unnamed = changeLastStart(journalOf(2), change);
    const other = changeLastStart(journalOf(2, 'a run'), (text) => change(text).replace('a run', 'another'));
    assert.equal(kindsOf(unnamed).includes('start'), false);
    assert.equal(kindsOf(other).includes('start'), false);
  });
});

describe('selfballoon replay', () => {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-replay-'));
  after(() => {
    rmSync(folder, { recursive: true });
  });

  async function replayLines(lines: readonly string[]): Promise<{ readonly isSame: boolean; readonly said: string }> {
    const path = join(folder, 'journal.ndjson');
    writeFileSync(path, `${lines.join('\n')}\n`);
    const said: string[] = [];
    const isSame = await replayJournal(path, (text) => said.push(text));
    return { isSame, said: said.join('\n') };
  }

  const linesOf = (records: readonly JournalRecord[]): string[] => records.map((record) => JSON.stringify(record));
  const [START = '', ...STEPS] = linesOf(journalOf(1));

  it('finds a journal of one or of several files identical', async () => {
    assert.match((await replayLines([START, ...STEPS])).said, /^7 steps, \d+ decisions: identical$/);
    const whole = await replayLines(linesOf(journalOf(3, 'a run')));
    assert.match(whole.said, /^19 steps, \d+ decisions: identical$/);
    assert.equal(whole.isSame, true);
  });

  it('tells a start that does not go on from the steps before it', async () => {
    const changed = changeLastStart(journalOf(2, 'a run'), (text) => text.replace('"nextId":', '"nextId":9'));
    const { isSame, said } = await replayLines(linesOf(changed));
    assert.equal(isSame, false);
    assert.match(said, /^first difference: line 9, .*\n {2}the state that stands there is not the one .*missing\?\n/);
    assert.match(said, /recorded: \{"nextId":9\d+\}\n {2}decided: {2}\{"nextId":\d+\}$/);
  });

  for (const name of ['constructor', '__proto__']) {
    it(`finds that of a guest called ${name} identical, with limits of its own and without`, async () => {
      const limits = Object.fromEntries([[name, { floor: pages(140_000), ceiling: null }]]);
      const targets = new Set<string>();
      for (const set of [limits, {}]) {
        const records = journalOf(2, 'a run', { ...GUEST, name }, set);
        assert.match((await replayLines(linesOf(records))).said, /^13 steps, \d+ decisions: identical$/);
        targets.add(JSON.stringify(records.map((record) => (record.kind === 'step' ? record.decisions : []))));
      }
      assert.equal(targets.size, 2, 'the limits change nothing');
    });
  }

  const without = (line: string, name: string): string =>
    JSON.stringify({ ...(JSON.parse(line) as object), [name]: undefined });

  const [CAME = '', READ = ''] = STEPS;
  const replaced = (line: string, from: string | RegExp, to: string): string => {
    assert.notEqual(line.replace(from, to), line);
    return line.replace(from, to);
  };

  it('takes a start from before the state had hosts that nobody sees', async () => {
    const { said } = await replayLines([replaced(START, '"unseenHosts":{},', ''), ...STEPS]);
    assert.match(said, /^7 steps, \d+ decisions: identical$/);
  });

  it('takes a start from before it was remembered what guests were seen to hold', async () => {
    const lines = linesOf(journalOf(1)).map((line) => line.replace(/"heldSeen":[^,]*,/, ''));
    assert.match((await replayLines(lines)).said, /^7 steps, \d+ decisions: identical$/);
  });

  it('takes a start from before guests could grow', async () => {
    const lines = linesOf(journalOf(2, 'a run')).map((line) => line.replace('"growth":null,', ''));
    const { said } = await replayLines(lines);
    assert.match(said, /^13 steps, \d+ decisions: identical$/);
  });

  const bad: readonly (readonly [string, readonly string[], RegExp])[] = [
    [
      'a step without decisions',
      [START, without(CAME, 'decisions')],
      /line 2 is not a whole step record: decisions is missing/,
    ],
    ['a step without a time', [START, without(CAME, 'at')], /line 2 .*: at is missing/],
    [
      'a start with an empty state',
      [replaced(START, /"state":.*/, '"state":{}}')],
      /line 1 is not a whole start record: state\.tunables is missing/,
    ],
    ['a start without a state', [without(START, 'state')], /line 1 .*: state is missing/],
    [
      'a start whose guests are no list',
      [replaced(START, '"guests":[]', '"guests":{}')],
      /line 1 .*: state\.guests should be Array, not Object/,
    ],
    [
      'a reading without a signal',
      [START, CAME, replaced(READ, '"committed":', '"kommitted":')],
      /line 3 .*: events\.0\.reading\.committed is missing/,
    ],
    [
      'a signal that is a word',
      [START, CAME, replaced(READ, /("committed":\{"known":true,"value":)\d+/, '$1"many"')],
      /line 3 .*: events\.0\.reading\.committed\.value should be number, not "many"/,
    ],
    [
      'an event that nobody knows',
      [START, replaced(CAME, 'guest-came', 'guest-sang')],
      /line 2 .*: events\.0\.kind should/,
    ],
    ['another format', [replaced(START, '"format":2', '"format":1')], /line 1 has format 1, and this program reads 2/],
    ['another rule', [replaced(START, '"selfballoon"', '"__proto__"')], /line 1 names an unknown policy, __proto__/],
    ['another kind', [START, '{"kind":"stop"}'], /line 2 is neither a start nor a step/],
    ['no record at all', ['null'], /line 1 is neither a start nor a step/],
  ];
  for (const [what, lines, says] of bad) {
    it(`says in a sentence, with the line, that there is ${what}`, async () => {
      await assert.rejects(replayLines(lines), (error) => {
        assert.ok(error instanceof Error);
        assert.match(error.message, says);
        assert.match(error.message, /journal\.ndjson cannot be replayed: .*\. Give a file that a daemon wrote/);
        return true;
      });
    });
  }
});
