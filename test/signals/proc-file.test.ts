import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Field } from '../../src/control/signal.js';
import { openProcFile } from '../../src/signals/proc-file.js';
import { temporaryFolder } from './proc-roots.js';

const shown = (text: Field<string>): string => (text.known ? text.value : text.reason);
const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

describe('a kernel file that is kept open', () => {
  it('gives the text as it is now, longer or shorter', (test) => {
    const path = join(temporaryFolder(test), 'file');
    writeFileSync(path, 'one\n');
    const file = openProcFile(path);
    assert.equal(shown(file.read()), 'one\n');
    const long = 'much longer than the first buffer\n'.repeat(2000);
    writeFileSync(path, long);
    assert.equal(shown(file.read()), long);
    truncateSync(path, 0);
    assert.equal(shown(file.read()), '');
    writeFileSync(path, 'two\n');
    assert.equal(shown(file.read()), 'two\n');
    file.close();
  });

  it('reads a kernel file to its end, though the kernel gives it in pieces', () => {
    const file = openProcFile('/proc/vmstat');
    const names = (text: string): readonly string[] => text.split('\n').map((line) => line.split(' ')[0] ?? '');
    assert.deepEqual(names(shown(file.read())), names(readFileSync('/proc/vmstat', 'utf8')));
    file.close();
  });

  it('gives the whole lines at the beginning where no more is wanted, and all of a shorter text', (test) => {
    const path = join(temporaryFolder(test), 'file');
    const file = openProcFile(path, { headBytes: 10, readsBetweenRetries: 0 });
    const reads = (text: string): string => {
      writeFileSync(path, text);
      return shown(file.read());
    };
    assert.equal(reads('one\ntwo\nthree\n'), 'one\ntwo\n');
    assert.equal(reads('one\ntw'), 'one\ntw');
    assert.equal(reads('0123456789\n'), '0123456789');
    assert.equal(reads(''), '');
    file.close();
  });

  it('a missing file is not-reported, and looked for again after some reads', (test) => {
    const path = join(temporaryFolder(test), 'file');
    const file = openProcFile(path, { readsBetweenRetries: 3 });
    writeFileSync(path, 'late\n');
    const answers = Array.from({ length: 5 }, () => shown(file.read()));
    assert.deepEqual(answers, ['not-reported', 'not-reported', 'not-reported', 'late\n', 'late\n']);
    file.close();
  });

  it('does not go on giving the last text of a file that was deleted or replaced', (test) => {
    const folder = temporaryFolder(test);
    const path = join(folder, 'file');
    writeFileSync(path, 'old\n');
    const file = openProcFile(path, { readsBetweenRetries: 0 });
    assert.equal(shown(file.read()), 'old\n');
    writeFileSync(join(folder, 'next'), 'new\n');
    renameSync(join(folder, 'next'), path);
    assert.equal(shown(file.read()), 'new\n');
    rmSync(path);
    assert.equal(shown(file.read()), 'not-reported');
    writeFileSync(path, 'back\n');
    assert.equal(shown(file.read()), 'back\n');
    file.close();
  });

  it('a text longer than the limit is malformed, one of just the limit is not', (test) => {
    const path = join(temporaryFolder(test), 'file');
    const file = openProcFile(path, { bytesMax: 10, readsBetweenRetries: 0 });
    writeFileSync(path, '0123456789');
    assert.equal(shown(file.read()), '0123456789');
    writeFileSync(path, '0123456789A');
    assert.equal(shown(file.read()), 'malformed');
    file.close();
    const endless = openProcFile('/dev/zero');
    assert.equal(shown(endless.read()), 'malformed');
    endless.close();
  });

  it('a folder or a pipe is unreadable, and does not hold up anyone', (test) => {
    const folder = temporaryFolder(test);
    mkdirSync(join(folder, 'inside'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    for (const name of ['inside', 'pipe']) {
      const file = openProcFile(join(folder, name));
      const before = openDescriptors();
      for (let round = 0; round < 20; round += 1) assert.equal(shown(file.read()), 'unreadable');
      assert.ok(openDescriptors() <= before);
      file.close();
    }
  });

  it('says which file could not be read, and a path through a file is a missing one', (test) => {
    const folder = temporaryFolder(test);
    writeFileSync(join(folder, 'file'), '');
    const through = openProcFile(join(folder, 'file', 'below'));
    assert.equal(shown(through.read()), 'not-reported');
    const here = openProcFile(folder);
    const text = here.read();
    assert.ok(!text.known && text.detail.includes(folder));
    here.close();
    through.close();
  });

  it('holds one descriptor however often it is read, and none when closed', () => {
    const before = openDescriptors();
    const file = openProcFile('/proc/meminfo');
    for (let round = 0; round < 1000; round += 1) assert.ok(file.read().known);
    assert.equal(openDescriptors(), before + 1);
    file.close();
    file.close();
    assert.equal(openDescriptors(), before);
    assert.equal(shown(file.read()), 'unreadable');
  });
});
