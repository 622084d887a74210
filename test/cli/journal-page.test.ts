/** Protects those who write a reader of journals by the reference page: its records are whole, and decided as they say. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { decodeRecord } from '../../src/cli/journal/decode-record.js';
import { createReplay, encodeState, type JournalRecord } from '../../src/control/journal.js';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { selfPolicy } from '../../src/policies/index.js';
import { REPOSITORY } from '../support/paths.js';

const page = readFileSync(join(REPOSITORY, 'docs', 'reference', 'journal.md'), 'utf8');
const blocks = [...page.matchAll(/```json\n(.*?)\n```/gs)].map(([, block]) => block ?? '');

function decoded(block: string): JournalRecord {
  const outcome = decodeRecord(JSON.parse(block));
  assert.equal(outcome.kind, 'record', outcome.kind === 'bad' ? outcome.why : '');
  return outcome.record;
}

const keysOf = (state: unknown): readonly string[] =>
  typeof state === 'object' && state !== null ? Object.keys(state) : [];

describe('the records in the reference page of the journal', () => {
  it('are a start and a step, both whole', () => {
    assert.deepEqual(
      blocks.map((block) => decoded(block).kind),
      ['start', 'step'],
    );
  });

  it('show everything that a state has', () => {
    const settings = { tunables: DEFAULT_TUNABLES, isDryRun: false, hasFrontswap: true, limits: {} };
    const [start] = blocks.map(decoded);
    assert.ok(start?.kind === 'start');
    assert.deepEqual(keysOf(start.state), keysOf(encodeState(initialState(settings))));
    assert.notEqual(start.run, undefined);
  });

  it('replay to what they say', () => {
    const replay = createReplay(() => createStep(selfPolicy));
    assert.deepEqual(
      blocks.map((block) => replay.take(decoded(block))),
      [null, null],
    );
    assert.equal(replay.counts.steps, 1);
  });
});
