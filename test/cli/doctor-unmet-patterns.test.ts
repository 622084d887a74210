/** Protects an administrator who wonders why a machine is not found: each entry of `qmp.sockets` that finds nothing is named, with what is there. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { checkUnmet } from '../../src/cli/doctor/unmet-patterns.js';
import { FakeQemu } from '../qmp/support/fake-qemu.js';
import { temporaryFolder } from '../signals/proc-roots.js';

it('the doctor says of each entry without a socket what is there instead', async (test) => {
  const folder = temporaryFolder(test);
  const qemu = await FakeQemu.start(test);
  mkdirSync(join(folder, 'empty'));
  writeFileSync(join(folder, 'file.qmp'), '');
  symlinkSync(join(folder, 'gone'), join(folder, 'link'));
  const patterns = ['empty', 'file.qmp', 'link', 'nothing', '*.qmp'].map((name) => join(folder, name));
  const findings = await checkUnmet([qemu.path, ...patterns]);
  assert.deepEqual(
    findings.map(({ level, what }) => [level, what.replace(`${folder}/`, '')]),
    [
      ['warn', 'no socket is there at empty: a folder without sockets'],
      ['warn', 'no socket is there at file.qmp: something that is no socket'],
      ['warn', 'no socket is there at link: a link that leads nowhere'],
      ['warn', 'no socket is there at nothing: nothing'],
      ['warn', 'no socket is there at *.qmp: nothing that fits is a socket'],
    ],
  );
});
