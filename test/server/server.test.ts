import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { NOTHING_KNOWN, type Reading } from '../../src/control/reading.js';
import { knownAt, unknown } from '../../src/control/signal.js';
import { TUNABLES } from '../../src/control/tunables.js';
import type { GuestRow } from '../../src/runtime/read-model.js';
import { request } from '../../src/server/client.js';
import type { Peer } from '../../src/posix/peer.js';
import { startServer, type ServerOptions } from '../../src/server/server.js';
import { decodeStatus } from '../../src/server/status.js';
import { millis, pages } from '../../src/units.js';
import { FakeLoop, temporaryFolder } from './fakes.js';

const READING: Reading = {
  ...NOTHING_KNOWN,
  at: millis(1400),
  free: knownAt(pages(0), millis(1400)),
  total: unknown('stale', 'long ago'),
};

const GUEST: GuestRow = {
  id: 'fake/a',
  name: 'a',
  isSimulated: true,
  isDriven: true,
  phase: 'steady',
  currentPages: pages(5),
  maximumPages: null,
  goalPages: null,
  targetPages: null,
  growthFailures: null,
  reason: { code: 'at-goal', numbers: { goal: 5 } },
  why: 'at its goal',
  reading: READING,
};

async function serve(context: TestContext, options: Partial<ServerOptions> = {}) {
  const loop = new FakeLoop();
  const socketPath = join(temporaryFolder(context), 'run', 'selfballoon.sock');
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const server = await startServer({ socketPath, readModel: loop, commands: loop, warn, ...options });
  context.after(() => server.close());
  const ask = (method: 'GET' | 'PUT' | 'POST', path: string, body?: string) => request(socketPath, method, path, body);
  return { loop, socketPath, warnings, server, ask };
}

/** Sends bytes as they are, and returns all that comes back until the other side ends. */
function sendRaw(socketPath: string, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let answer = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
    socket.on('error', (error) => {
      if (answer === '') reject(error);
      else resolve(answer);
    });
    socket.on('close', () => {
      resolve(answer);
    });
    socket.write(bytes);
  });
}

const codeOf = (body: string): unknown => {
  const decoded: unknown = JSON.parse(body);
  return typeof decoded === 'object' && decoded !== null && 'code' in decoded ? decoded.code : null;
};

describe('the server shows', () => {
  it('its health', async (context) => {
    const { ask } = await serve(context);
    assert.deepEqual(await ask('GET', '/v1/health'), { status: 200, body: '{"status":"ok","version":7}\n' });
  });

  it('the state with units in the names, and why something is not known', async (context) => {
    const { ask, loop } = await serve(context);
    loop.guests = [GUEST];
    const status = decodeStatus((await ask('GET', '/v1/status')).body);
    assert.equal(status.atMs, 1500);
    assert.equal(status.guests[0]?.currentPages, 5);
    assert.deepEqual(status.guests[0].reason, { code: 'at-goal', numbers: { goal: 5 } });
    assert.equal(status.guests[0].reading?.freePages, 0);
    assert.equal(status.guests[0].reading.totalPages, null);
    assert.deepEqual(status.guests[0].reading.unknown, { total: 'stale: long ago' });
    assert.equal(status.guests[0].reading.refusal, null);
  });

  it('why what a guest said last was not understood', async (context) => {
    const { ask, loop } = await serve(context);
    loop.guests = [{ ...GUEST, reading: { ...READING, refusal: 'it is no report' } }];
    const [guest] = decodeStatus((await ask('GET', '/v1/status')).body).guests;
    assert.equal(guest?.reading?.refusal, 'it is no report');
    assert.deepEqual(guest.reading.unknown, { total: 'stale: long ago' });
  });

  it('the tunables, all and one', async (context) => {
    const { ask, loop } = await serve(context);
    const all = await ask('GET', '/v1/tunables');
    for (const { name } of TUNABLES) assert.ok(all.body.includes(`"${name}"`));
    assert.deepEqual(await ask('GET', '/v1/tunables/selfballoon_interval'), { status: 200, body: '5\n' });
    loop.hasFrontswap = false;
    assert.doesNotMatch((await ask('GET', '/v1/tunables')).body, /frontswap/);
    assert.equal((await ask('GET', '/v1/tunables/frontswap_inertia')).status, 404);
  });
});

describe('the server changes', () => {
  it('a tunable', async (context) => {
    const { ask, loop } = await serve(context);
    assert.deepEqual(await ask('PUT', '/v1/tunables/selfballoon_interval', '10\n'), { status: 204, body: '' });
    assert.equal(loop.tunables.selfballoon_interval, 10);
  });

  it('nothing when the value is not accepted, and says why', async (context) => {
    const { ask, loop } = await serve(context);
    const { status, body } = await ask('PUT', '/v1/tunables/selfballoon_interval', '0');
    assert.equal(status, 422);
    const message = 'selfballoon_interval takes a whole number from 1 to 4294967295, not "0"';
    assert.deepEqual(JSON.parse(body), { code: 'EINVAL', message });
    assert.equal(loop.tunables.selfballoon_interval, 5);
  });

  it('nothing of a tunable that is not there', async (context) => {
    const { ask } = await serve(context);
    for (const name of ['nothing', '__proto__', 'constructor', '%2e%2e']) {
      const { status, body } = await ask('PUT', `/v1/tunables/${name}`, '1');
      assert.deepEqual([status, codeOf(body)], [404, 'ENOENT']);
      assert.equal((await ask('GET', `/v1/tunables/${name}`)).status, 404);
    }
  });

  it('the size of all guests, when it is asked to give everything back', async (context) => {
    const { ask, loop } = await serve(context);
    assert.equal((await ask('POST', '/v1/release')).status, 204);
    assert.equal(loop.releases, 1);
  });
});

describe('who may change something', () => {
  const asPeer = (peer: Peer) => ({ peerOf: () => peer });
  const stranger = { kind: 'known', uid: (process.geteuid?.() ?? 0) + 1, gid: 1, pid: 1 } as const;
  const nobody = { kind: 'unknown', why: 'a test' } as const;

  const isRefused = async (context: TestContext, options: Partial<ServerOptions>): Promise<boolean> => {
    const { ask, loop } = await serve(context, options);
    assert.equal((await ask('GET', '/v1/status')).status, 200);
    const put = await ask('PUT', '/v1/tunables/selfballoon_interval', 'not even a number');
    const post = await ask('POST', '/v1/release');
    assert.equal(put.status === 403, post.status === 403);
    if (put.status !== 403) return false;
    assert.deepEqual([codeOf(put.body), codeOf(post.body)], ['EPERM', 'EPERM']);
    assert.equal(loop.releases, 0);
    return true;
  };

  it('is root and the daemon’s own user', async (context) => {
    const root = { ...stranger, uid: 0 };
    const own = { ...stranger, uid: process.geteuid?.() ?? 0 };
    assert.equal(await isRefused(context, asPeer(root)), false);
    assert.equal(await isRefused(context, asPeer(own)), false);
  });

  it('is nobody else, whatever the socket’s mode; the right is checked before the text', async (context) => {
    assert.equal(await isRefused(context, { ...asPeer(stranger), mode: 0o666 }), true);
    assert.equal(await isRefused(context, { ...asPeer(stranger), mode: 0o600 }), true);
  });

  it('is somebody unknown only where nobody else could have opened the socket', async (context) => {
    assert.equal(await isRefused(context, { ...asPeer(nobody), mode: 0o666 }), true);
    assert.equal(await isRefused(context, { ...asPeer(nobody), mode: 0o660 }), true);
    assert.equal(await isRefused(context, { ...asPeer(nobody), mode: 0o600 }), false);
  });

  it('is kept by the socket’s mode, which it has from its first instant', async (context) => {
    for (const mode of [0o600, 0o660, 0o666]) {
      const { socketPath } = await serve(context, { mode });
      assert.equal(statSync(socketPath).mode & 0o777, mode);
    }
  });
});

describe('the server refuses', () => {
  it('unknown paths and wrong methods', async (context) => {
    const { ask } = await serve(context);
    for (const path of ['/', '/v1', '/v1/status/x', '/v2/status', '//', '/v1/tunables/a/b', '/%00', '/?x=1']) {
      const { status, body } = await ask('GET', path);
      assert.deepEqual([status, codeOf(body)], [404, 'ENOENT'], path);
    }
    for (const [method, path] of [
      ['POST', '/v1/status'],
      ['GET', '/v1/release'],
      ['PUT', '/v1/tunables'],
    ] as const) {
      const { status, body } = await ask(method, path);
      assert.deepEqual([status, codeOf(body)], [405, 'EMETHOD'], path);
    }
  });

  it('methods that it has never heard of, and says which there are', async (context) => {
    const { socketPath } = await serve(context);
    const answer = await sendRaw(socketPath, 'DELETE /v1/tunables/x HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 405 /);
    assert.match(answer, /\r\nAllow: GET, PUT\r\n/);
  });

  it('a body that is too large', async (context) => {
    const { ask, loop, socketPath } = await serve(context);
    const { status, body } = await ask('PUT', '/v1/tunables/selfballoon_interval', '1'.repeat(4097));
    assert.deepEqual([status, codeOf(body)], [413, 'ETOOLARGE']);
    const head = 'PUT /v1/tunables/selfballoon_interval HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    assert.match(await sendRaw(socketPath, `${head}1001\r\n${'1'.repeat(4097)}\r\n`), /^HTTP\/1\.1 413 /);
    assert.deepEqual(loop.writes, []);
    assert.equal((await ask('PUT', '/v1/tunables/selfballoon_interval', '1'.repeat(4096))).status, 422);
  });

  it('to die of its own read model', async (context) => {
    const broken = {
      snapshot: () => {
        throw new Error('broken');
      },
    };
    const { ask, warnings } = await serve(context, { readModel: broken });
    assert.equal((await ask('GET', '/v1/status')).status, 500);
    assert.deepEqual(warnings, ['a request could not be answered: broken']);
  });

  it('a command that the loop cannot take now, as what may be tried again', async (context) => {
    const why = 'the daemon is shutting down';
    const unavailable = () => Promise.resolve({ result: 'EUNAVAILABLE', why } as const);
    const { ask } = await serve(context, { commands: { writeTunable: unavailable, release: unavailable } });
    for (const answer of [await ask('POST', '/v1/release'), await ask('PUT', '/v1/tunables/x', '1')]) {
      assert.equal(answer.status, 503);
      assert.deepEqual(JSON.parse(answer.body), { code: 'EUNAVAILABLE', message: why });
    }
  });

  it('to die of a command that fails', async (context) => {
    const failing = {
      writeTunable: () => Promise.reject(new Error('gone')),
      release: () => Promise.reject(new Error('gone')),
    };
    const { ask, warnings } = await serve(context, { commands: failing });
    assert.equal((await ask('POST', '/v1/release')).status, 500);
    assert.equal((await ask('PUT', '/v1/tunables/x', '1')).status, 500);
    assert.equal(warnings.length, 2);
  });
});

describe('a hostile client', () => {
  it('that sends garbage is told so, and the next one is served', async (context) => {
    const { ask, socketPath } = await serve(context);
    const garbage = [
      '\0\0\0\0',
      'GET\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    ];
    for (const bytes of garbage) {
      assert.match(await sendRaw(socketPath, bytes), /^HTTP\/1\.1 400 .*"code":"EBADREQUEST"/s);
    }
    assert.equal((await ask('GET', '/v1/health')).status, 200);
  });

  it('that sends random bytes never ends the server', async (context) => {
    const { ask, socketPath } = await serve(context);
    for (let seed = 1; seed <= 50; seed += 1) {
      const bytes = Buffer.from(Array.from({ length: 300 }, (_, at) => (seed * 7919 + at * at * 31) % 256));
      await sendRaw(socketPath, Buffer.concat([bytes, Buffer.from('\r\n\r\n')])).catch(() => undefined);
    }
    assert.equal((await ask('GET', '/v1/health')).status, 200);
  });

  it('that breaks off in the middle leaves nothing behind', async (context) => {
    const { ask, socketPath, warnings } = await serve(context);
    const head = 'PUT /v1/tunables/selfballoon_interval HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n1';
    await new Promise<void>((resolve) => {
      const socket = connect(socketPath, () => {
        socket.write(head, () => {
          socket.destroy();
          resolve();
        });
      });
    });
    assert.equal((await ask('GET', '/v1/health')).status, 200);
    assert.deepEqual(warnings, []);
  });

  it('that is slow, or silent, is cut off', async (context) => {
    const { ask, socketPath } = await serve(context, { limits: { requestMs: 200 } });
    const head = 'PUT /v1/tunables/selfballoon_interval HTTP/1.1\r\nHost: x\r\n';
    for (const bytes of ['', 'GET', head, `${head}Content-Length: 9\r\n\r\n1`]) {
      assert.match(await sendRaw(socketPath, bytes), /^(HTTP\/1\.1 408 .*"ETIMEDOUT".*)?$/s);
    }
    assert.equal((await ask('GET', '/v1/health')).status, 200);
  });

  it('that does not read its answer is cut off', async (context) => {
    const { loop, socketPath } = await serve(context, { limits: { connectionMs: 200 } });
    loop.guests = Array.from({ length: 10_000 }, () => GUEST);
    await new Promise<void>((resolve) => {
      const socket = connect(socketPath).pause();
      socket.on('error', () => undefined);
      socket.write('GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n');
      // Only a look at it shows that the other side is gone.
      const prod = setInterval(() => socket.write('x'), 50);
      socket.once('close', () => {
        clearInterval(prod);
        resolve();
      });
    });
  });
});
