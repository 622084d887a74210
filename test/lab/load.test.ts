/** Protects the words between the lab and a guest's load program, and what is made of its answers; the program itself needs a guest. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { guestClock } from '../../lab/qemu/guest-clock.js';
import { GuestLoad } from '../../lab/qemu/load.js';
import { parseReport, readLook } from '../../lab/qemu/load-report.js';

interface Command {
  readonly do: string;
  readonly id: number;
}

describe("a guest's load", () => {
  let folder: string;
  let port: Server;
  let load: GuestLoad;
  /** What was asked for, and what is answered to it: lines without their `at`. */
  let asked: Command[];
  let answer: (command: Command) => readonly object[];
  let end: () => void;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'selfballoon-load-'));
    asked = [];
    answer = ({ id }) => [{ kind: 'began', id }];
    port = createServer((socket: Socket) => {
      socket.on('error', () => undefined);
      // The end of a line from before somebody listened.
      socket.write('"mib":3}\n');
      socket.on('data', (chunk: Buffer) => {
        for (const line of chunk.toString().trim().split('\n')) {
          const command = JSON.parse(line) as Command;
          asked.push(command);
          for (const said of answer(command)) socket.write(`${JSON.stringify({ at: 1_000, ...said })}\n`);
        }
      });
    }).listen(join(folder, 'port'));
    const ended = new Promise<void>((resolve) => (end = resolve));
    load = await GuestLoad.open(join(folder, 'port'), { ended, lastWords: () => 'a last word' });
  });

  afterEach(() => {
    load.close();
    port.close();
    rmSync(folder, { recursive: true });
  });

  it('is asked for in steps, whatever its pace', async () => {
    await load.anonymous(300);
    await load.tmpfs(100, { kind: 'steps', stepMib: 10, everyMs: 250 });
    await load.commit(100, { kind: 'ramp', mibPerS: 50 });
    await load.anonymous(100, { kind: 'ramp', mibPerS: 2 });
    await load.cache({ mib: 300, file: '/data/file', everyMs: 1_000 });
    assert.deepEqual(asked, [
      { do: 'anon', mib: 300, stepMib: 300, pauseMs: 0, id: 1 },
      { do: 'tmpfs', mib: 100, stepMib: 10, pauseMs: 250, id: 2 },
      { do: 'commit', mib: 100, stepMib: 3, pauseMs: 60, id: 3 },
      { do: 'anon', mib: 100, stepMib: 1, pauseMs: 500, id: 4 },
      { do: 'cache', mib: 300, file: '/data/file', times: 0, pauseMs: 1_000, id: 5 },
    ]);
  });

  it('that was killed is not waited for any longer, and says so', async () => {
    answer = ({ id }) => [
      { kind: 'began', id },
      { kind: 'killed', id, signal: 9 },
    ];
    const need = await load.anonymous(300);
    assert.equal((await need.until('killed')).signal, 9);
    await assert.rejects(need.until('holds'), /was to say "holds" and said .*"killed".*a last word/s);
  });

  it('ends with its machine, and not with a time limit', async () => {
    const need = await load.anonymous(300);
    const held = need.until('holds');
    end();
    await assert.rejects(held, /has not said "holds": the machine has ended; last words:\na last word/);
  });

  it('takes no answer for that to another question', async () => {
    answer = ({ do: what, id }) => [
      { kind: 'look', id: id + 7, vmstat: 'oom_kill 5\n' },
      { kind: what, id, vmstat: 'oom_kill 2\n' },
    ];
    assert.equal((await load.look()).count('oom_kill'), 2);
  });
});

describe("a look at a guest's counters", () => {
  const look = readLook({
    kind: 'look',
    id: 1,
    at: 5,
    heardMs: 0,
    vmstat: 'pgmajfault 12\noom_kill 0\nnr_free_pages 7\n',
    meminfo: 'MemTotal:         467968 kB\nMemFree:          100 kB\n',
    pressure: 'some avg10=0.00 avg60=0.00 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=45\n',
  });

  it('finds each by its whole name', () => {
    assert.equal(look.count('pgmajfault'), 12);
    assert.equal(look.count('oom_kill'), 0);
    assert.equal(look.kib('MemFree'), 100);
    assert.deepEqual([look.stalledUs('some'), look.stalledUs('full')], [123, 45]);
  });

  it('does not take one that is missing for 0', () => {
    assert.throws(() => look.count('free_pages'), /does not count/);
    assert.throws(() => look.kib('Mem'), /does not count/);
    assert.throws(() => readLook({ kind: 'look', id: 1, at: 5, heardMs: 0 }).stalledUs('some'), /does not count/);
  });
});

describe("a guest's clock", () => {
  it('is taken to have been read half way between question and answer', () => {
    const clock = guestClock({ askedMs: 1_000, heardMs: 1_010, at: 500_000 });
    assert.equal(clock.toHostMs(500_000), 1_005);
    assert.equal(clock.toHostMs(400_000), 905);
    assert.equal(clock.uncertaintyMs, 5);
  });
});

describe('a line from the guest', () => {
  it('that is no report is none', () => {
    for (const line of ['', '{', '"mib":3}', 'null', '[]', '{"kind":"other","id":1}'])
      assert.equal(parseReport(line), null);
  });
});
