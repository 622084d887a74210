import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES, TUNABLES } from '../../src/control/tunables.js';
import { SelfballoonError } from '../../src/errors.js';
import { selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import { Loop } from '../../src/runtime/loop.js';
import { RealClock } from '../../src/runtime/real-clock.js';
import { startAttributeFiles } from '../../src/server/attribute-files.js';
import { FakeLoop, temporaryFolder, until } from './fakes.js';

const INTERVAL = 'selfballoon_interval';

async function show(context: TestContext, prepare: (loop: FakeLoop, folder: string) => void = () => undefined) {
  const loop = new FakeLoop();
  const above = temporaryFolder(context);
  const folder = join(above, 'selfballoon');
  const warnings: string[] = [];
  prepare(loop, folder);
  const warn = (message: string): void => void warnings.push(message);
  const files = await startAttributeFiles({ folder, readModel: loop, commands: loop, warn });
  context.after(() => files.close());
  loop.onTunable = (name, text) => {
    files.show(name, text);
  };
  const shell = (command: string) => promisify(execFile)('/bin/sh', ['-c', command], { cwd: folder });
  const textOf = (name: string): string =>
    existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : '';
  const shows = (name: string, text: string) => until(`${name} shows ${text}`, () => textOf(name) === text);
  return { loop, above, folder, warnings, files, shell, textOf, shows };
}

describe('attribute files', () => {
  it('show every tunable as a value and a newline, for all to read', async (context) => {
    const { folder, loop, textOf } = await show(context);
    assert.deepEqual(readdirSync(folder).sort(), TUNABLES.map(({ name }) => name).sort());
    for (const { name } of TUNABLES) {
      assert.equal(textOf(name), `${loop.tunables[name]}\n`);
      assert.equal(lstatSync(join(folder, name)).mode & 0o777, 0o644);
    }
    assert.equal(lstatSync(folder).mode & 0o777, 0o755);
  });

  it('show no frontswap tunables where there is no frontswap, not even old ones', async (context) => {
    const { folder } = await show(context, (loop, folder) => {
      loop.hasFrontswap = false;
      mkdirSync(folder);
      writeFileSync(join(folder, 'frontswap_inertia'), '3\n');
    });
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('frontswap')),
      [],
    );
  });

  it('of a daemon that died are not taken for what somebody writes now', async (context) => {
    const { loop, textOf } = await show(context, (_, folder) => {
      mkdirSync(folder);
      writeFileSync(join(folder, INTERVAL), '99\n');
    });
    assert.equal(textOf(INTERVAL), '5\n');
    assert.deepEqual(loop.writes, []);
  });

  it('take what a shell writes', async (context) => {
    const { loop, shell, shows } = await show(context);
    await shell(`echo 10 > ${INTERVAL}`);
    await until('the loop has it', () => loop.tunables.selfballoon_interval === 10);
    await shows(INTERVAL, '10\n');
    assert.equal((await shell(`cat ${INTERVAL}`)).stdout, '10\n');
    await shell(`printf +20 > ${INTERVAL}`);
    await shows(INTERVAL, '20\n');
  });

  it('show what was changed elsewhere, and do not write it a second time', async (context) => {
    const { loop, shell, shows } = await show(context);
    await loop.writeTunable({ name: INTERVAL, text: '7', mayChange: true });
    await shows(INTERVAL, '7\n');
    await shell('echo 2 > frontswap_inertia');
    await until('it is handed in', () => loop.writes.length > 1);
    await shows('frontswap_inertia', '2\n');
    assert.deepEqual(loop.writes, [`${INTERVAL}=7`, 'frontswap_inertia=2\n']);
  });

  it('are put back each time that a value is refused, without a word of their own', async (context) => {
    const { loop, shell, shows, warnings } = await show(context);
    for (const times of [1, 2]) {
      await shell(`echo soon > ${INTERVAL}`);
      await until('it was handed in', () => loop.writes.length === times);
      await shows(INTERVAL, '5\n');
    }
    assert.equal(loop.tunables.selfballoon_interval, 5);
    assert.deepEqual(warnings, []);
  });

  it('and the loop behind them tell a refusal once', async (context) => {
    const told: string[] = [];
    const loop = new Loop<SelfshrinkMemory>({
      step: createStep(selfPolicy),
      policyName: selfPolicy.name,
      state: initialState({ tunables: DEFAULT_TUNABLES, isDryRun: false, hasFrontswap: true, limits: {} }),
      clock: new RealClock(),
      hypervisors: [],
      journal: null,
      tell: ({ text }) => void told.push(text),
    });
    const ending = new AbortController();
    const running = loop.run(ending.signal);
    const folder = join(temporaryFolder(context), 'selfballoon');
    const warn = (text: string): void => void told.push(text);
    const files = await startAttributeFiles({ folder, readModel: loop.readModel, commands: loop, warn });
    writeFileSync(join(folder, INTERVAL), 'soon\n');
    await until('it was put back', () => readFileSync(join(folder, INTERVAL), 'utf8') === '5\n');
    await files.close();
    ending.abort();
    await running;
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /EINVAL: selfballoon_interval takes a whole number .*, not "soon/);
  });

  it('are put back when they stay empty', async (context) => {
    const { loop, shell, shows, warnings } = await show(context);
    await shell(`: > ${INTERVAL}`);
    await shows(INTERVAL, '5\n');
    assert.deepEqual([loop.writes, warnings], [[], []]);
  });

  it('take a value that comes long after a shell has emptied the file', async (context) => {
    const { loop, shell } = await show(context);
    // The file is emptied at once; what the loop of the shell waits for is that it has been put back.
    await shell(`(while [ ! -s ${INTERVAL} ]; do sleep 0.02; done; echo 10) > ${INTERVAL}`);
    await until('the loop has it', () => loop.tunables.selfballoon_interval === 10);
  });

  it('come back when they are deleted', async (context) => {
    const { loop, folder, shows } = await show(context);
    unlinkSync(join(folder, INTERVAL));
    await shows(INTERVAL, '5\n');
    assert.deepEqual(loop.writes, []);
  });

  it('come back with their folder', async (context) => {
    const { loop, folder, shell, shows, warnings } = await show(context);
    rmSync(folder, { recursive: true });
    await shows(INTERVAL, '5\n');
    await until('they are followed again', () => existsSync(join(folder, 'frontswap_inertia')));
    await shell(`echo 10 > ${INTERVAL}`);
    await until('the loop has it', () => loop.tunables.selfballoon_interval === 10);
    assert.deepEqual(warnings, []);
  });

  it('take what an editor puts in their place', async (context) => {
    const { above, folder, loop, shows } = await show(context);
    writeFileSync(join(above, 'new'), '10\n');
    chmodSync(join(above, 'new'), 0o600);
    renameSync(join(above, 'new'), join(folder, INTERVAL));
    await until('the loop has it', () => loop.tunables.selfballoon_interval === 10);
    await shows(INTERVAL, '10\n');
  });

  it('do not take what is behind a link, from a pipe, too long, or open to others', async (context) => {
    const { above, folder, loop, shell, shows, warnings } = await show(context);
    const precious = join(above, 'precious');
    writeFileSync(precious, '10\n');
    const tries: readonly (() => unknown)[] = [
      () => {
        symlinkSync(precious, join(above, 'new'));
      },
      () => shell(`mkfifo ${join(above, 'new')}`),
      () => {
        writeFileSync(join(above, 'new'), ' '.repeat(65));
      },
      () => {
        writeFileSync(join(above, 'new'), '10\n');
        chmodSync(join(above, 'new'), 0o666);
      },
    ];
    for (const [at, attempt] of tries.entries()) {
      await attempt();
      renameSync(join(above, 'new'), join(folder, INTERVAL));
      await until('it is noticed', () => warnings.length === at + 1);
      await shows(INTERVAL, '5\n');
      assert.ok(lstatSync(join(folder, INTERVAL)).isFile());
    }
    assert.deepEqual(loop.writes, []);
    assert.equal(readFileSync(precious, 'utf8'), '10\n');
  });

  it('survive a folder put in their place', async (context) => {
    const { folder, shell, warnings, loop } = await show(context);
    unlinkSync(join(folder, INTERVAL));
    mkdirSync(join(folder, INTERVAL));
    await until('it is noticed', () => warnings.length > 0);
    await shell('echo 2 > frontswap_inertia');
    await until('the others still work', () => loop.tunables.frontswap_inertia === 2);
  });

  it('are put back when the loop fails', async (context) => {
    const { loop, shell, shows, warnings } = await show(context);
    loop.writeTunable = () => Promise.reject(new Error('gone'));
    await shell(`echo 10 > ${INTERVAL}`);
    await until('it is told', () => warnings.length === 1);
    await shows(INTERVAL, '5\n');
    assert.match(warnings[0] ?? '', /selfballoon_interval could not be handed in: gone$/);
  });

  it('are put back when the loop takes no commands, and tell it: the loop does not', async (context) => {
    const { loop, shell, shows, warnings } = await show(context);
    loop.writeTunable = () => Promise.resolve({ result: 'EUNAVAILABLE', why: 'the daemon is shutting down' });
    await shell(`echo 10 > ${INTERVAL}`);
    await until('it is told', () => warnings.length === 1);
    await shows(INTERVAL, '5\n');
    assert.match(warnings[0] ?? '', /selfballoon_interval could not be handed in: the daemon is shutting down$/);
  });

  it('are removed in the end, but not what others have put there', async (context) => {
    const { files, folder } = await show(context);
    writeFileSync(join(folder, 'notes'), '');
    await files.close();
    assert.deepEqual(readdirSync(folder), ['notes']);
    await files.close();
    files.show(INTERVAL, '9');
    assert.deepEqual(readdirSync(folder), ['notes']);
  });

  it('leave no folder behind', async (context) => {
    const { files, folder } = await show(context);
    await files.close();
    assert.equal(existsSync(folder), false);
  });

  it('are not made where others could bend them elsewhere', async (context) => {
    const above = temporaryFolder(context);
    chmodSync(above, 0o777);
    const loop = new FakeLoop();
    const started = startAttributeFiles({
      folder: join(above, 'x'),
      readModel: loop,
      commands: loop,
      warn: () => undefined,
    });
    await assert.rejects(started, (error) => error instanceof SelfballoonError && error.code === 'EPERM');
  });
});
