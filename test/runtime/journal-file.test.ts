/** Protects the journal's files: bounded, readable from any file on, whole again after a kill, and no trap for root. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { StartRecord, StepRecord } from '../../src/control/journal.js';
import { openJournalFile, type JournalFileOptions } from '../../src/runtime/journal-file.js';
import { bytes, millis } from '../../src/units.js';

const folder = mkdtempSync(join(tmpdir(), 'selfballoon-journal-'));
after(() => {
  rmSync(folder, { recursive: true });
});

const step = (at: number): StepRecord => ({
  kind: 'step',
  at: millis(at),
  events: [{ kind: 'time-passed' }],
  actions: [],
  decisions: [],
  wakeAt: null,
});
const start = (): StartRecord => ({ kind: 'start', format: 1, policy: 'p', at: millis(0), state: {} });

interface Rig {
  readonly path: string;
  readonly warnings: string[];
  readonly options: JournalFileOptions;
}

let rigs = 0;
function rig(changes: Partial<JournalFileOptions> = {}): Rig {
  const path = join(folder, `journal-${(rigs += 1)}`);
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  return { path, warnings, options: { path, sizeMax: bytes(1_000_000), filesMax: 3, warn, ...changes } };
}

const kindsIn = (path: string): readonly string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly kind: string }).kind);

describe('the journal’s files', () => {
  it('begin with a start record, and so does every run that goes on in the same file', () => {
    const { path, options } = rig();
    for (const at of [1, 2]) {
      const journal = openJournalFile(options);
      journal.record(step(at), start);
      journal.record(step(at + 10), start);
      journal.close();
    }
    assert.deepEqual(kindsIn(path), ['start', 'step', 'step', 'start', 'step', 'step']);
  });

  it('rotate at a size, keep so many, and each can be read by itself', () => {
    const { path, options } = rig({ sizeMax: bytes(300) });
    const journal = openJournalFile(options);
    for (let at = 0; at < 50; at += 1) journal.record(step(at), start);
    journal.close();
    for (const file of [path, `${path}.1`, `${path}.2`]) {
      assert.equal(kindsIn(file)[0], 'start');
      assert.ok(statSync(file).size < 500);
    }
    assert.equal(existsSync(`${path}.3`), false);
  });

  it('keep a line that a kill cut short apart from the next run', () => {
    const { path, options } = rig();
    writeFileSync(path, '{"kind":"st');
    const journal = openJournalFile(options);
    journal.record(step(1), start);
    journal.close();
    assert.deepEqual(readFileSync(path, 'utf8').split('\n').slice(0, 2), ['{"kind":"st', JSON.stringify(start())]);
  });

  it('have their folder made where that alone is missing, and not for everybody', () => {
    const { path, options } = rig();
    const inside = join(path, 'journal.ndjson');
    const mask = process.umask(0);
    try {
      const journal = openJournalFile({ ...options, path: inside });
      journal.record(step(1), start);
      journal.close();
    } finally {
      process.umask(mask);
    }
    assert.deepEqual(kindsIn(inside), ['start', 'step']);
    assert.equal(statSync(path).mode & 0o777, 0o750);
  });

  it('have no folder made where more is missing, nor where a link leads nowhere', () => {
    const { path, options } = rig();
    assert.throws(() => openJournalFile({ ...options, path: join(path, 'a', 'journal') }), { code: 'ENOENT' });
    assert.ok(!existsSync(path));
    symlinkSync(join(folder, 'elsewhere'), path);
    assert.throws(() => openJournalFile({ ...options, path: join(path, 'journal') }), { code: 'ENOENT' });
    assert.ok(!existsSync(join(folder, 'elsewhere')));
  });

  it('are for their owner only, whoever made the file', () => {
    const { path, options } = rig();
    writeFileSync(path, '', { mode: 0o644 });
    openJournalFile(options).close();
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('never follow a link to another file', () => {
    const { path, options } = rig();
    const victim = join(folder, 'victim');
    appendFileSync(victim, 'precious');
    symlinkSync(victim, path);
    assert.throws(() => openJournalFile(options), { code: 'ELOOP' });
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
  });

  it('are never a device, a pipe or a folder', () => {
    const { options } = rig();
    const { mode } = statSync('/dev/null');
    assert.throws(() => openJournalFile({ ...options, path: '/dev/null' }), /not a regular file/);
    assert.equal(statSync('/dev/null').mode, mode);
    assert.throws(() => openJournalFile({ ...options, path: folder }));
    assert.throws(() => openJournalFile({ ...options, path: '/proc/no/such/folder' }), { code: 'ENOENT' });
  });

  it('say once that the disk is full, and let the loop go on', () => {
    const full = (): never => {
      throw new Error('ENOSPC: no space left on device');
    };
    const { path, warnings, options } = rig({ append: full });
    const journal = openJournalFile(options);
    for (const at of [1, 2, 3]) journal.record(step(at), start);
    journal.close();
    assert.deepEqual(warnings, [
      `the journal ${path} cannot be written, and stops here: ENOSPC: no space left on device`,
    ]);
  });
});
