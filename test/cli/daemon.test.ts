/** End to end: the built program as a process of its own, over its socket, its attribute files and its journal. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROGRAM, selfballoon, until, type Ended } from './support/program.js';

const folder = mkdtempSync(join(tmpdir(), 'selfballoon-daemon-'));
const socket = join(folder, 'run', 'selfballoon.sock');
const journal = join(folder, 'journal.ndjson');

const ask = (...args: readonly string[]): Promise<Ended> => selfballoon(...args, '--socket', socket);

/** What `status --json` shows as soon as it shows something that `isSo`. */
async function statusWhen<Status>(what: string, isSo: (status: Status) => boolean): Promise<Status> {
  const shown: Status[] = [];
  await until(what, async () => {
    const { code, out } = await ask('status', '--json');
    if (code === 0) shown.push(JSON.parse(out) as Status);
    return shown.slice(-1).some(isSo);
  });
  return shown.at(-1) ?? assert.fail(what);
}

function start(...flags: readonly string[]): { readonly process: ChildProcess; readonly ended: Promise<Ended> } {
  const child = spawn(process.execPath, [PROGRAM, 'run', '--hypervisor', 'embedded', '--socket', socket, ...flags]);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      resolve({ code: code ?? -1, out, err });
    });
  });
  return { process: child, ended };
}

after(() => {
  rmSync(folder, { recursive: true });
});

describe('the daemon', () => {
  let daemon: ReturnType<typeof start>;

  before(async () => {
    daemon = start('--speed', '100', '--journal', journal);
    await until('the daemon answers', async () => (await ask('status')).code === 0);
  });

  it('shows eight simulated guests and this machine, observed only', async () => {
    const status = await statusWhen<{
      readonly sources: readonly string[];
      readonly guests: readonly {
        readonly isSimulated: boolean;
        readonly isDriven: boolean;
        readonly maximumPages: number | null;
      }[];
    }>(
      'every guest is shown, with its maximum',
      ({ guests }) => guests.length >= 9 && guests.every(({ maximumPages }) => maximumPages !== null),
    );
    const simulated = status.guests.filter(({ isSimulated }) => isSimulated);
    assert.equal(simulated.length, 8);
    assert.deepEqual(
      status.guests.filter(({ isSimulated }) => !isSimulated).map(({ isDriven }) => isDriven),
      [false],
    );
    assert.match(status.sources.join(), /simulated/);
    const { out } = await ask('status');
    assert.match(out, /idle \(simulated\)/);
    assert.equal(out.includes('\u001b'), false);
  });

  it('reads and writes tunables, and refuses as the specification says', async () => {
    assert.equal((await ask('set', 'selfballoon_downhysteresis', '16')).code, 0);
    assert.equal((await ask('get', 'selfballoon_downhysteresis')).out, '16\n');
    const refused = await ask('set', 'selfballoon_downhysteresis', '0');
    assert.equal(refused.code, 1);
    assert.match(refused.err, /EINVAL: selfballoon_downhysteresis takes a whole number from 1/);
    assert.match((await ask('get', 'no_such_thing')).err, /ENOENT/);
    assert.match((await ask('get')).out, /^selfballooning 1\nselfballoon_interval 5\n/);
  });

  it('offers them as files that a shell can read and write', async () => {
    const file = join(folder, 'run', 'selfballoon', 'selfballoon_uphysteresis');
    await until('the file is there', () => existsSync(file));
    assert.equal(readFileSync(file, 'utf8'), '1\n');
    writeFileSync(file, '4\n');
    await until('it was taken', async () => (await ask('get', 'selfballoon_uphysteresis')).out === '4\n');
    writeFileSync(file, 'nonsense\n');
    await until('it was put back', () => readFileSync(file, 'utf8') === '4\n');
  });

  it('is not started twice on one socket', async () => {
    const { code, err } = await selfballoon('run', '--hypervisor', 'embedded', '--socket', socket);
    assert.equal(code, 1);
    assert.match(err, /already/);
  });

  it('gives everything back when asked, and goes on showing', async () => {
    const { code, out } = await ask('release');
    assert.equal(code, 0);
    assert.match(out, /gives everything back/);
    assert.equal((await ask('get', 'selfballooning')).out, '0\n');
    await sleep(500);
    const { guests } = await statusWhen<{
      readonly guests: readonly {
        readonly isDriven: boolean;
        readonly phase: string;
        readonly why: string;
        readonly targetPages: number | null;
        readonly maximumPages: number | null;
      }[];
    }>('it answers', () => true);
    const released = guests.filter(({ isDriven }) => isDriven);
    assert.deepEqual([...new Set(released.map(({ why }) => why))], ['everything was given back']);
    // The host is half of what they could hold: who gets all of it depends on the moment, and the others say so.
    for (const { targetPages, maximumPages, phase } of released) {
      assert.equal(targetPages, maximumPages);
      assert.ok(['released', 'stuck', 'uncooperative'].includes(phase), phase);
    }
  });

  it('ends with 0 on SIGINT, gives back and leaves nothing behind', async () => {
    daemon.process.kill('SIGINT');
    const { code, out, err } = await daemon.ended;
    assert.equal(err, '');
    assert.equal(code, 0);
    assert.match(out, /SIMULATED/);
    assert.match(out, /8 simulated guests hold \d+ of \d+ MiB/);
    assert.match(out, /gave everything back/);
    assert.equal(existsSync(socket), false);
  });

  it('left a journal that replays to identical decisions', async () => {
    const { code, out } = await selfballoon('replay', journal);
    assert.match(out, /^\d+ steps, \d+ decisions: identical\n$/);
    assert.equal(code, 0);
  });

  it('finds the first difference in a journal that was changed', async () => {
    const changed = join(folder, 'changed.ndjson');
    writeFileSync(changed, readFileSync(journal, 'utf8').replace(/("kind":"set-target",.*?"target":)\d+/, '$11'));
    const { code, out } = await selfballoon('replay', changed);
    assert.equal(code, 1);
    assert.match(out, /^first difference: line \d+, at /);
  });

  it('replays a journal whose writer was killed in the middle of a line', async () => {
    const torn = join(folder, 'torn.ndjson');
    writeFileSync(torn, readFileSync(journal, 'utf8').slice(0, -100));
    const { code, out } = await selfballoon('replay', torn);
    assert.match(out, /cut short and is left out/);
    assert.equal(code, 0);
  });
});

describe('without a daemon', () => {
  it('says in one sentence what is wrong and what to do', async () => {
    for (const command of [['status'], ['get'], ['set', 'selfballooning', '1'], ['release']]) {
      const { code, err } = await ask(...command);
      assert.equal(code, 1);
      assert.match(err, /^selfballoon: .+\n$/);
    }
  });

  it('runs dry without asking anything of anybody', async () => {
    const dry = join(folder, 'dry.ndjson');
    const { process: child, ended } = start('--speed', '500', '--dry-run', '--journal', dry);
    await until('decisions were made', () => existsSync(dry) && readFileSync(dry, 'utf8').includes('"above-goal"'));
    child.kill('SIGTERM');
    const { code, out } = await ended;
    assert.equal(code, 0);
    assert.match(out, /the dry run is over; nothing was changed/);
    assert.doesNotMatch(out, /given? back|gave/);
    assert.equal(readFileSync(dry, 'utf8').includes('"set-target"'), false);
  });

  it('logs JSON lines whose messages are as they are said', async () => {
    const { process: child, ended } = start('--log-format', 'json');
    await until('it answers', async () => (await ask('status')).code === 0);
    child.kill('SIGINT');
    const lines = (await ended).out.trimEnd().split('\n');
    const messages = lines.map((line) => (JSON.parse(line) as { readonly message: string }).message);
    assert.ok(messages.includes(`answers on ${socket}`));
    assert.ok(messages.includes('embedded/idle: found'));
  });

  for (const signal of ['SIGHUP', 'SIGTERM'] as const) {
    it(`gives everything back on ${signal}`, async () => {
      const { process: child, ended } = start();
      await until('it answers', async () => (await ask('status')).code === 0);
      child.kill(signal);
      const { code, out } = await ended;
      assert.match(out, /gave everything back/);
      assert.equal(code, 0);
      assert.equal(existsSync(socket), false);
    });
  }

  it('takes two signals that come together for one, as a terminal and whoever hands them on send them', async () => {
    const { process: child, ended } = start();
    await until('it answers', async () => (await ask('status')).code === 0);
    child.kill('SIGINT');
    child.kill('SIGTERM');
    const { code, out } = await ended;
    assert.match(out, /gave everything back/);
    assert.equal(code, 0);
  });

  it('goes on when nobody reads what it prints any more, and still gives back', async () => {
    const { process: child, ended } = start('--speed', '1000');
    await until('it answers', async () => (await ask('status')).code === 0);
    child.stdout?.destroy();
    interface Shown {
      readonly version: number;
    }
    const { version } = await statusWhen<Shown>('it answers', () => true);
    await statusWhen<Shown>('it has gone on', (now) => now.version > version + 1_000);
    child.kill('SIGINT');
    const { code, err } = await ended;
    assert.equal(code, 0);
    assert.doesNotMatch(err, /EPIPE/);
  });

  const isRoot = process.getuid?.() === 0;
  it(
    'runs for a user who has no place for a socket',
    { skip: !isRoot && 'needs root to become another user' },
    async () => {
      const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'XDG_RUNTIME_DIR'));
      const flags = ['run', '--hypervisor', 'embedded', '--speed', '100'];
      const child = spawn(process.execPath, [PROGRAM, ...flags], { uid: 65534, gid: 65534, env });
      let out = '';
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      await until('it makes a round', () => out.includes('8 simulated guests hold'));
      assert.match(out, /it cannot be controlled from outside: .*XDG_RUNTIME_DIR/);
      child.kill('SIGINT');
      await new Promise((resolve) => child.once('close', resolve));
      assert.match(out, /gave everything back/);
    },
  );

  it('refuses an empty name', async () => {
    assert.match((await ask('get', '')).err, /the name of a tunable is empty/);
  });

  it('refuses to run in a place that is not a Xen guest when told to drive one', async () => {
    const { code, err } = await selfballoon('run', '--hypervisor', 'xen-guest', '--socket', socket);
    assert.equal(code, 1);
    assert.match(err, /not started: this is not a Xen guest/);
  });

  it('refuses to run where its journal cannot be opened, and says what to do', async () => {
    const words = ['--hypervisor', 'embedded', '--socket', socket];
    const { code, err } = await selfballoon('run', ...words, '--journal', join(folder, 'not', 'there', 'journal'));
    assert.equal(code, 1);
    assert.match(err, /the journal .* cannot be opened: ENOENT.*Make the folder/);
  });

  it('has help for every command', async () => {
    const names = ['run', 'status', 'get', 'set', 'release', 'doctor', 'replay', 'conformance'];
    for (const name of names) {
      const { code, out } = await selfballoon(name, '--help');
      assert.equal(code, 0);
      assert.match(out, new RegExp(`^Usage: selfballoon ${name}`));
    }
  });

  it('examines this place', async () => {
    const { out } = await selfballoon('doctor', '--socket', socket);
    assert.match(out, /^ok {4}Node\.js v/);
    assert.match(out, /all readings that the law needs are there/);
  });
});
