/**
 * Protects an agent's way to its host: whole lines, whatever was written before; a host that is not there or does not read holds nothing
 * up and makes nothing grow. A pipe stands in for the port: it refuses as a port does, but for the codes of a port that is unplugged.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { findPort } from '../../src/cli/daemon/find-port.js';
import { openReportPort, type PortCalls } from '../../src/cli/daemon/report-port.js';
import type { ReportWay } from '../../src/cli/daemon/report-way.js';
import { SelfballoonError } from '../../src/errors.js';
import { RealClock } from '../../src/runtime/real-clock.js';
import { LAST_WORD } from '../../src/signals/report.js';
import { VirtualClock } from '../../src/sim/index.js';
import { millis } from '../../src/units.js';

const NEVER = new AbortController().signal;

const failure =
  (code: string, text: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof SelfballoonError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };

function folderFor(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-port-'));
  test.after(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** A pipe, and its host's end. */
class Pipe {
  readonly path: string;
  #host: number | null = null;

  constructor(test: TestContext) {
    this.path = join(folderFor(test), 'port');
    execFileSync('mkfifo', [this.path]);
    this.connect();
    test.after(() => {
      this.disconnect();
    });
  }

  connect(): void {
    this.#host = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  disconnect(): void {
    if (this.#host !== null) closeSync(this.#host);
    this.#host = null;
  }

  /** All that waits. */
  read(): string {
    const buffer = Buffer.alloc(1 << 20);
    assert.ok(this.#host !== null);
    return buffer.toString('utf8', 0, readSync(this.#host, buffer));
  }
}

async function open(test: TestContext, path: string, calls?: PortCalls): Promise<ReportWay> {
  const way = await openReportPort({
    find: () => path,
    clock: new RealClock(),
    ...(calls === undefined ? {} : { calls }),
  });
  test.after(() => way.close());
  return way;
}

describe('a report', () => {
  it('is one line, and the first of them ends whatever half line stood there', async (test) => {
    const pipe = new Pipe(test);
    const way = await open(test, pipe.path);
    await way.publish('{"v":1}', NEVER);
    await way.publish('{"v":2}', NEVER);
    assert.equal(pipe.read(), '\n{"v":1}\n{"v":2}\n');
    assert.match(way.description, /port .*one a line/);
  });

  it('that nobody reads is refused at once when the port is full, with words, and the next one is taken when there is room', async (test) => {
    const pipe = new Pipe(test);
    const way = await open(test, pipe.path);
    const text = 'x'.repeat(1_000);
    let taken = 0;
    const fill = async (): Promise<void> => {
      for (; taken < 1_000; taken += 1) await way.publish(text, NEVER);
    };
    await assert.rejects(
      fill(),
      failure('EUNAVAILABLE', /nobody on the host is connected .* or whoever is does not read/),
    );
    assert.ok(taken > 10 && taken < 100, `${taken} were taken`);
    pipe.read();
    await way.publish('new', NEVER);
    assert.equal(pipe.read(), '\nnew\n');
  });

  it('goes out again after the host’s end was closed and opened, over the port opened anew', async (test) => {
    const pipe = new Pipe(test);
    const way = await open(test, pipe.path);
    await way.publish('1', NEVER);
    pipe.disconnect();
    await assert.rejects(way.publish('2', NEVER), failure('EIO', /EPIPE/));
    await assert.rejects(way.publish('3', NEVER), failure('ENODEV', /cannot be opened/));
    pipe.connect();
    await way.publish('4', NEVER);
    assert.equal(pipe.read(), '\n4\n');
  });

  it('of which the port took a part only is refused, and the next line begins a line', async (test) => {
    const written: string[] = [];
    let room = 100;
    const way = await open(test, '/port', {
      open: () => Promise.resolve(7),
      write: (_, bytes) => {
        written.push(bytes.toString('utf8', 0, room));
        return Promise.resolve(Math.min(room, bytes.length));
      },
      close: () => Promise.resolve(),
    });
    await way.publish('one', NEVER);
    room = 3;
    await assert.rejects(way.publish('two', NEVER), failure('EUNAVAILABLE', /took 3 of 4 bytes/));
    room = 100;
    await way.publish('three', NEVER);
    assert.deepEqual(written, ['\none\n', 'two', '\nthree\n']);
  });

  it('whose write does not come back is given up after a second, no other is begun meanwhile, and the port is left open', async () => {
    const clock = new VirtualClock();
    let begun = 0;
    let isClosed = false;
    let comeBack: (written: number) => void = () => undefined;
    const calls: PortCalls = {
      open: () => Promise.resolve(7),
      write: (_, bytes) => {
        begun += 1;
        return begun === 1 ? new Promise((resolve) => (comeBack = resolve)) : Promise.resolve(bytes.length);
      },
      close: () => {
        isClosed = true;
        return Promise.resolve();
      },
    };
    const way = await openReportPort({ find: () => '/port', clock, calls });
    for (let tries = 1; tries <= 3; tries += 1) {
      const given = assert.rejects(way.publish('x', NEVER), failure('ETIMEDOUT', /not finished in time/));
      await clock.advanceTo(millis(tries * 1_000));
      await given;
    }
    assert.equal(begun, 1);
    await way.close();
    assert.equal(isClosed, false, 'the kernel still writes from it');
    comeBack(3);
    await clock.advanceTo(millis(4_000));
    assert.equal(isClosed, true);
  });

  it('is given up with its signal, and what comes last waits for it', async (test) => {
    const pipe = new Pipe(test);
    const way = await open(test, pipe.path);
    await assert.rejects(way.publish('x', AbortSignal.abort()), failure('ETIMEDOUT', /not finished in time/));
    await way.leave();
    assert.equal(pipe.read(), `\nx\n\n${LAST_WORD}\n`);
  });
});

describe('the last word', () => {
  it('is said where it can be, and where it cannot nothing fails', async (test) => {
    const pipe = new Pipe(test);
    const way = await open(test, pipe.path);
    await way.publish('{}', NEVER);
    await way.leave();
    assert.equal(pipe.read(), `\n{}\n${LAST_WORD}\n`);
    pipe.disconnect();
    await way.leave();
    await way.close();
    await way.leave();
    await way.close();
  });
});

describe('what is not a port', () => {
  it('is refused with words: a file would grow for ever', async (test) => {
    const file = join(folderFor(test), 'file');
    writeFileSync(file, '');
    await assert.rejects(open(test, file), failure('EINVAL', /neither a port nor a pipe/));
    await assert.rejects(open(test, `${file}-not-there`), failure('ENODEV', /ENOENT.*virtio_console/));
  });

  it('or is in use by another agent, is refused with what to do', async (test) => {
    for (const [code, kind, text] of [
      ['EMFILE', 'ENODEV', /another agent/],
      ['EBUSY', 'ENODEV', /another agent/],
      ['EACCES', 'EPERM', /as root/],
    ] as const) {
      const calls: PortCalls = {
        open: () => Promise.reject(Object.assign(new Error(`${code}: refused`), { code })),
        write: () => Promise.resolve(0),
        close: () => Promise.resolve(),
      };
      await assert.rejects(open(test, '/port', calls), failure(kind, text));
    }
  });
});

describe('the port', () => {
  const put = (root: string, path: string, text: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  };

  it('is found by the link that udev makes of its name', (test) => {
    const root = folderFor(test);
    put(root, 'dev/vport1p2', '');
    mkdirSync(join(root, 'dev/virtio-ports'));
    symlinkSync('../vport1p2', join(root, 'dev/virtio-ports/org.selfballoon.0'));
    assert.equal(findPort(root), join(root, 'dev/virtio-ports/org.selfballoon.0'));
  });

  it('is found without udev by what the kernel says of its ports', (test) => {
    const root = folderFor(test);
    put(root, 'sys/class/virtio-ports/vport0p1/name', 'org.qemu.guest_agent.0\n');
    put(root, 'sys/class/virtio-ports/vport0p2/name', 'org.selfballoon.0\n');
    mkdirSync(join(root, 'sys/class/virtio-ports/vport0p0'));
    assert.equal(findPort(root), join(root, 'dev/vport0p2'));
  });

  it('that is not there is told with what to do', (test) => {
    const root = folderFor(test);
    put(root, 'sys/class/virtio-ports/vport0p1/name', 'org.selfballoon.01\n');
    for (const where of [root, folderFor(test)]) {
      assert.throws(() => findPort(where), failure('ENODEV', /org\.selfballoon\.0.*docs\/guides\/qemu\.md/));
    }
  });
});
