import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { SelfballoonError } from '../../src/errors.js';
import { request } from '../../src/server/client.js';
import { startServer } from '../../src/server/server.js';
import { attributeFolderOf, defaultSocketPath } from '../../src/server/socket-path.js';
import { FakeLoop, temporaryFolder } from './fakes.js';

const isRoot = process.geteuid?.() === 0;
const NEEDS_ROOT = isRoot ? false : 'needs root, to act as another user';
const NOBODY = 65_534;

const start = async (context: TestContext, socketPath: string, mode = 0o666) => {
  const loop = new FakeLoop();
  const server = await startServer({ socketPath, readModel: loop, commands: loop, mode });
  context.after(() => server.close());
  return { loop, server };
};

const place = (context: TestContext): string => join(temporaryFolder(context), 'selfballoon.sock');

const isRefused = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SelfballoonError);
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

describe('the socket’s default place', () => {
  it('is under /run for root, and in the runtime folder of anybody else', () => {
    assert.equal(defaultSocketPath({ XDG_RUNTIME_DIR: '/run/user/5' }, 0), '/run/selfballoon/selfballoon.sock');
    assert.equal(defaultSocketPath({ XDG_RUNTIME_DIR: '/run/user/5' }, 5), '/run/user/5/selfballoon/selfballoon.sock');
  });

  it('is in the folder that systemd made for the service, which for our units is where root looks', () => {
    const ofUnit = { RUNTIME_DIRECTORY: '/run/selfballoon', XDG_RUNTIME_DIR: '/run/user/5' };
    assert.equal(defaultSocketPath(ofUnit, 5), defaultSocketPath({}, 0));
    assert.equal(defaultSocketPath({ RUNTIME_DIRECTORY: '/run/one:/run/two' }, 5), '/run/one/selfballoon.sock');
    assert.equal(defaultSocketPath({ RUNTIME_DIRECTORY: '/run/one' }, 0), '/run/selfballoon/selfballoon.sock');
    const useless = { RUNTIME_DIRECTORY: 'relative', XDG_RUNTIME_DIR: '/run/user/5' };
    assert.equal(defaultSocketPath(useless, 5), '/run/user/5/selfballoon/selfballoon.sock');
  });

  it('is nowhere for a user without a runtime folder, who is told what to do', () => {
    for (const env of [{}, { XDG_RUNTIME_DIR: '' }, { XDG_RUNTIME_DIR: 'relative' }]) {
      assert.throws(
        () => defaultSocketPath(env, 5),
        isRefused('EUNAVAILABLE', /nor XDG_RUNTIME_DIR is set.*Run as root/),
      );
    }
  });
});

describe('the folder of attribute files', () => {
  it('is another for each socket, and that of the default one is where it always was', () => {
    assert.equal(attributeFolderOf('/run/selfballoon/selfballoon.sock'), '/run/selfballoon/selfballoon');
    assert.equal(attributeFolderOf('/run/selfballoon/qemu.sock'), '/run/selfballoon/qemu');
    assert.equal(attributeFolderOf('/run/selfballoon/control'), '/run/selfballoon/control.d');
  });
});

describe('the socket', () => {
  it('is made with its folder, and removed when the server closes', async (context) => {
    const socketPath = join(temporaryFolder(context), 'a', 'b', 'selfballoon.sock');
    const { server } = await start(context, socketPath);
    assert.equal(lstatSync(dirname(socketPath)).mode & 0o777, 0o755);
    await server.close();
    assert.equal(existsSync(socketPath), false);
  });

  it('of a daemon that died is replaced', async (context) => {
    const socketPath = place(context);
    const script = `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await promisify(execFile)(process.execPath, ['-e', script]).catch(() => undefined);
    assert.ok(lstatSync(socketPath).isSocket());
    await start(context, socketPath);
    assert.equal((await request(socketPath, 'GET', '/v1/health')).status, 200);
  });

  it('of a daemon that answers is left alone', async (context) => {
    const socketPath = place(context);
    await start(context, socketPath);
    await assert.rejects(start(context, socketPath), isRefused('EUNAVAILABLE', /a daemon is already running there/));
    assert.equal((await request(socketPath, 'GET', '/v1/health')).status, 200);
  });

  it('is not made over a link or a file, which stay as they are', async (context) => {
    const socketPath = place(context);
    const other = join(dirname(socketPath), 'other');
    writeFileSync(other, 'precious', { mode: 0o640 });
    symlinkSync(other, socketPath);
    await assert.rejects(start(context, socketPath), isRefused('EPERM', /is a symbolic link of user/));
    assert.equal(readFileSync(other, 'utf8'), 'precious');
    assert.equal(lstatSync(other).mode & 0o777, 0o640);
    await assert.rejects(start(context, other), isRefused('EPERM', /is something that is not a socket/));
    assert.equal(readFileSync(other, 'utf8'), 'precious');
  });

  it('is not made where others can write', async (context) => {
    const folder = temporaryFolder(context);
    chmodSync(folder, 0o777);
    const refused = isRefused('EPERM', /can be written to by other users/);
    await assert.rejects(start(context, join(folder, 'x.sock')), refused);
    await assert.rejects(start(context, join(folder, 'below', 'x.sock')), refused);
    assert.equal(existsSync(join(folder, 'below')), false);
    chmodSync(folder, 0o1777);
    await start(context, join(folder, 'x.sock'));
  });

  it('is not made in the folder of another user, or behind their links', { skip: NEEDS_ROOT }, async (context) => {
    const folder = temporaryFolder(context);
    const theirs = join(folder, 'theirs');
    mkdirSync(theirs);
    chownSync(theirs, NOBODY, NOBODY);
    await assert.rejects(start(context, join(theirs, 'x.sock')), isRefused('EPERM', /belongs to user 65534/));
    const real = join(folder, 'real');
    mkdirSync(real);
    const link = join(folder, 'link');
    symlinkSync(real, link);
    await start(context, join(link, 'x.sock'));
    const linkToTheirs = join(folder, 'link-to-theirs');
    symlinkSync(theirs, linkToTheirs);
    await assert.rejects(start(context, join(linkToTheirs, 'x.sock')), isRefused('EPERM', /belongs to user 65534/));
    execFileSync('chown', ['-h', String(NOBODY), link]);
    await assert.rejects(start(context, join(link, 'y.sock')), isRefused('EPERM', /link belongs to user 65534/));
  });

  it('has a path that is absolute and short enough', async (context) => {
    const long = join(temporaryFolder(context), 'x'.repeat(100));
    await assert.rejects(start(context, long), isRefused('EINVAL', /at most 107 bytes/));
    await assert.rejects(start(context, 'relative.sock'), isRefused('EINVAL', /absolute path/));
  });
});

const ASK = `
const [socketPath, method, path, body] = process.argv.slice(1);
const asked = require('http').request({ socketPath, method, path }, (answer) => {
  console.log(answer.statusCode);
  answer.resume();
});
asked.on('error', (error) => console.log(error.code));
asked.end(body);
`;

/** What another user is answered. */
async function askAs(uid: number, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', ASK, ...args], { uid, gid: uid, cwd: '/' });
  return stdout.trim();
}

describe('another user, for real', () => {
  const change = ['PUT', '/v1/tunables/selfballoon_interval', '10'];

  it('may look and may not change', { skip: NEEDS_ROOT }, async (context) => {
    const socketPath = place(context);
    chmodSync(dirname(socketPath), 0o755);
    const { loop } = await start(context, socketPath);
    assert.equal(await askAs(NOBODY, socketPath, 'GET', '/v1/status'), '200');
    assert.equal(await askAs(NOBODY, socketPath, ...change), '403');
    assert.equal(await askAs(NOBODY, socketPath, 'POST', '/v1/release'), '403');
    assert.deepEqual([loop.tunables.selfballoon_interval, loop.releases], [5, 0]);
    assert.equal(await askAs(0, socketPath, ...change), '204');
    assert.equal(loop.tunables.selfballoon_interval, 10);
  });

  it('may not even look where the socket is its owner’s only', { skip: NEEDS_ROOT }, async (context) => {
    const socketPath = place(context);
    chmodSync(dirname(socketPath), 0o755);
    await start(context, socketPath, 0o600);
    assert.equal(await askAs(NOBODY, socketPath, 'GET', '/v1/status'), 'EACCES');
  });
});

describe('the client', () => {
  const listening = (context: TestContext, server: Server, path: string): Promise<void> => {
    context.after(() => server.close());
    return new Promise((resolve) => server.listen(path, resolve));
  };

  it('says that no daemon is running, and how to start one', async (context) => {
    const refused = isRefused('EUNAVAILABLE', /Is the daemon running\? Start it with `selfballoon run`/);
    await assert.rejects(request(place(context), 'GET', '/v1/health'), refused);
  });

  it('gives up on a daemon that does not answer', async (context) => {
    const path = place(context);
    const open = new Set<{ destroy(): unknown }>();
    await listening(
      context,
      createServer((socket) => open.add(socket.on('error', () => undefined))),
      path,
    );
    const asked = request(path, 'GET', '/v1/health', undefined, { limitMs: 50 });
    await assert.rejects(asked, isRefused('ETIMEDOUT', /did not answer in time/));
    for (const socket of open) socket.destroy();
  });

  it('gives up on an answer without end, on garbage, and on half an answer', async (context) => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n';
    for (const [answer, message] of [
      [head + 'x'.repeat(9_000_000), /larger than 8388608 bytes/],
      ['garbage\r\n\r\n', /Parse Error/],
      [`${head}x`, /aborted/],
    ] as const) {
      const path = place(context);
      const server = createServer((socket) => {
        socket.on('error', () => undefined).end(answer);
      });
      await listening(context, server, path);
      await assert.rejects(request(path, 'GET', '/v1/status'), isRefused('EIO', message));
    }
  });

  it('ends early when it is told to', async (context) => {
    const path = place(context);
    const { server } = await start(context, path);
    const signal = AbortSignal.abort();
    await assert.rejects(request(path, 'GET', '/v1/health', undefined, { signal }), SelfballoonError);
    await server.close();
  });

  it('is told that it may not open the socket', { skip: NEEDS_ROOT }, async (context) => {
    const path = place(context);
    chmodSync(dirname(path), 0o755);
    await start(context, path, 0o600);
    const module = new URL('../../src/server/client.js', import.meta.url).href;
    const script = `import(${JSON.stringify(module)}).then(({ request }) => request(${JSON.stringify(path)}, 'GET', '/')).catch((error) => console.log(error.code))`;
    const answer = promisify(execFile)(process.execPath, ['-e', script], { uid: NOBODY, gid: NOBODY, cwd: '/' });
    assert.equal((await answer).stdout.trim(), 'EPERM');
  });
});
