/** Protects whoever follows the guide: the doctor says before the start whether the journal can be opened, as the daemon would find it. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { checkJournal } from '../../src/cli/doctor/journal.js';
import type { Finding } from '../../src/cli/doctor/finding.js';
import { openJournalFile } from '../../src/runtime/journal-file.js';
import { bytes } from '../../src/units.js';
import { temporaryFolder } from '../server/fakes.js';
import { selfballoon } from './support/program.js';

/** The one finding; and, said together, that the daemon finds it just so. */
function findingOf(path: string): Finding {
  const findings = checkJournal(path);
  assert.equal(findings.length, 1);
  const [finding] = findings;
  assert.ok(finding !== undefined);
  const open = (): void => {
    openJournalFile({ path, sizeMax: bytes(1_000), filesMax: 1, warn: () => undefined }).close();
  };
  if (finding.level === 'ok') open();
  else assert.throws(open);
  return finding;
}

const journalIn = (test: TestContext, ...below: readonly string[]): string =>
  join(temporaryFolder(test), ...below, 'journal.ndjson');

describe('the doctor on the journal', () => {
  it('says nothing where none is kept', () => {
    assert.deepEqual(checkJournal(null), []);
  });

  it('is content where the file can be made, and where it is there', (test) => {
    const path = journalIn(test);
    assert.match(findingOf(path).what, /can be made$/);
    assert.ok(existsSync(path));
    assert.match(findingOf(path).what, /is there, and can be written on/);
  });

  it('is content where only its folder is missing, and does not make it', (test) => {
    const path = journalIn(test, 'selfballoon');
    assert.match(checkJournal(path)[0]?.what ?? '', /and its folder can be made/);
    assert.ok(!existsSync(join(path, '..')));
    assert.equal(findingOf(path).level, 'ok');
  });

  it('says which folder to make where more than one is missing', (test) => {
    const path = journalIn(test, 'logs', 'selfballoon');
    const { level, advice } = findingOf(path);
    assert.equal(level, 'fail');
    assert.ok(advice?.includes(`mkdir -p ${join(path, '..')}`));
  });

  it('fails where a folder, or a link, or a file on the way is in its place', (test) => {
    const path = journalIn(test);
    mkdirSync(path);
    assert.match(findingOf(path).what, /not a regular file/);
    const link = journalIn(test);
    symlinkSync(path, link);
    assert.match(findingOf(link).what, /not a regular file/);
    const file = journalIn(test);
    writeFileSync(file, '');
    assert.match(findingOf(join(file, 'journal')).what, /is no folder/);
    const nowhere = journalIn(test);
    symlinkSync(join(nowhere, '..', 'nowhere'), nowhere);
    assert.match(findingOf(join(nowhere, 'journal')).what, /is no folder/);
  });

  it(
    'fails with what the system says where it may not be written',
    { skip: process.getuid?.() === 0 && 'root may' },
    (test) => {
      const path = journalIn(test, 'closed');
      mkdirSync(join(path, '..'));
      chmodSync(join(path, '..'), 0o500);
      const { what, advice } = findingOf(path);
      assert.match(what, /EACCES/);
      assert.match(advice ?? '', /^Run as root/);
    },
  );

  it('is heard by whoever asks it with a configuration', async (test) => {
    const path = journalIn(test, 'logs', 'selfballoon');
    const config = join(temporaryFolder(test), 'selfballoon.toml');
    writeFileSync(config, `[journal]\npath = "${path}"\n`);
    const { code, out } = await selfballoon('doctor', '--config', config);
    assert.equal(code, 1);
    assert.match(out, /fail {2}the journal .* cannot be made/);
  });
});
