/** Protects the administrator's way in: however many connections others hold or make, root and the daemon's user get theirs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { request } from '../../src/server/client.js';
import type { Peer } from '../../src/posix/peer.js';
import { startServer, type ServerOptions } from '../../src/server/server.js';
import { FakeLoop, temporaryFolder, until } from './fakes.js';

const NEEDS_ROOT = process.geteuid?.() === 0 ? false : 'needs root, to act as another user';
const NOBODY = 65_534;
const OWN = process.geteuid?.() ?? 0;

const known = (uid: number): Peer => ({ kind: 'known', uid, gid: uid, pid: 1 });

/** Nobody who only holds a connection is ended because a test is slow. */
const PATIENT = { requestMs: 60_000, connectionMs: 60_000 };

async function serve(context: TestContext, options: Partial<ServerOptions> = {}) {
  const loop = new FakeLoop();
  const socketPath = join(temporaryFolder(context), 'selfballoon.sock');
  chmodSync(dirname(socketPath), 0o755);
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const server = await startServer({ socketPath, readModel: loop, commands: loop, warn, mode: 0o666, ...options });
  context.after(() => server.close());
  return { loop, socketPath, warnings, server };
}

/** Opens one connection and says nothing on it. */
function hold(context: TestContext, socketPath: string): Promise<Socket> {
  const socket = connect(socketPath).on('error', () => undefined);
  socket.resume();
  context.after(() => socket.destroy());
  return new Promise((resolve) => {
    socket.once('connect', () => {
      resolve(socket);
    });
  });
}

const holdMany = (context: TestContext, socketPath: string, count: number): Promise<Socket[]> =>
  Promise.all(Array.from({ length: count }, () => hold(context, socketPath)));

const openOf = (sockets: readonly Socket[]): number => sockets.filter(({ closed }) => !closed).length;

/** Names the peers in the order in which they come, the last for all that come later. */
function peersInTurn(uids: readonly number[]) {
  const named = new Map<Socket, Peer>();
  let asked = 0;
  const peerOf = (socket: Socket): Peer => {
    const peer = named.get(socket) ?? known(uids[Math.min(asked++, uids.length - 1)] ?? 0);
    named.set(socket, peer);
    return peer;
  };
  return { peerOf, asked: () => asked };
}

describe('connections', () => {
  it('of one other user are at most 8, however many there are; root’s come on top', async (context) => {
    const { peerOf } = peersInTurn([...Array<number>(100).fill(7), 0]);
    const { socketPath, warnings } = await serve(context, { peerOf, limits: PATIENT });
    const sockets = await holdMany(context, socketPath, 100);
    await until('all but 8 are ended', () => openOf(sockets) === 8);
    assert.equal((await request(socketPath, 'POST', '/v1/release')).status, 204);
    assert.equal(openOf(sockets), 8);
    assert.deepEqual(warnings, [
      'user 7 has 8 connections open; more are turned away (this is said once a minute at most)',
    ]);
  });

  it('of many other users are at most 48 together', async (context) => {
    const uids = Array.from({ length: 100 }, (_, at) => 1000 + at);
    const { peerOf } = peersInTurn([...uids, 0]);
    const { socketPath, warnings } = await serve(context, { peerOf, limits: PATIENT });
    const sockets = await holdMany(context, socketPath, 100);
    await until('all but 48 are ended', () => openOf(sockets) === 48);
    assert.equal((await request(socketPath, 'POST', '/v1/release')).status, 204);
    assert.match(warnings.join(), /^48 connections of users who may only look are open;/);
  });

  it('of peers that the kernel does not name are at most 48 together', async (context) => {
    const { socketPath } = await serve(context, {
      peerOf: () => ({ kind: 'unknown', why: 'a test' }),
      limits: PATIENT,
    });
    const sockets = await holdMany(context, socketPath, 100);
    await until('all but 48 are ended', () => openOf(sockets) === 48);
  });

  it('make room again when they end', async (context) => {
    const { socketPath } = await serve(context, { peerOf: () => known(7), limits: PATIENT });
    const sockets = await holdMany(context, socketPath, 9);
    await until('one is ended', () => openOf(sockets) === 8);
    assert.equal(sockets.at(-1)?.closed, true);
    for (const socket of sockets) socket.destroy();
    await until('the others look again', async () => {
      const answer = await request(socketPath, 'GET', '/v1/health').catch(() => null);
      return answer?.status === 200;
    });
  });

  it('are asked whose they are only when more than 8 are open: a quiet daemon needs no koffi', async (context) => {
    const { peerOf, asked } = peersInTurn([OWN]);
    const { socketPath } = await serve(context, { peerOf, limits: PATIENT });
    await holdMany(context, socketPath, 7);
    assert.equal((await request(socketPath, 'GET', '/v1/health')).status, 200);
    assert.equal(asked(), 0);
    await holdMany(context, socketPath, 2);
    await request(socketPath, 'GET', '/v1/health');
    assert.ok(asked() >= 9);
  });

  it('of the daemon’s own user have a limit too, and closing ends them all', async (context) => {
    const { server, socketPath } = await serve(context, { limits: { ...PATIENT, connections: 64 } });
    const sockets = await holdMany(context, socketPath, 100);
    await until('all but 64 are ended', () => openOf(sockets) === 64);
    await server.close();
    await until('all are ended', () => openOf(sockets) === 0);
  });
});

/** Run as another user: holds so many connections, and makes each anew as soon as it is ended. */
const FLOOD = `
const { connect } = require('node:net');
const [path, count] = process.argv.slice(1);
let made = 0;
const again = () => {
  const socket = connect(path);
  socket.on('connect', () => { made += 1; if (made % Number(count) === 0) console.log(made); });
  socket.on('error', () => undefined).on('close', () => setImmediate(again)).resume();
};
for (let n = 0; n < Number(count); n += 1) again();
`;

describe('another user who makes connection after connection', { skip: NEEDS_ROOT }, () => {
  const flood = (context: TestContext, socketPath: string, count: number) => {
    const child = spawn(process.execPath, ['-e', FLOOD, socketPath, String(count)], {
      uid: NOBODY,
      gid: NOBODY,
      cwd: '/',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    context.after(() => child.kill('SIGKILL'));
    let made = 0;
    createInterface({ input: child.stdout }).on('line', (line) => (made = Number(line)));
    return { made: () => made };
  };

  it('does not keep root from reading, writing and releasing', async (context) => {
    const { loop, socketPath, warnings } = await serve(context);
    const { made } = flood(context, socketPath, 200);
    await until('the flood is under way', () => made() >= 200);
    const before = made();
    for (let round = 1; round <= 20; round += 1) {
      const set = await request(socketPath, 'PUT', '/v1/tunables/selfballoon_interval', String(round));
      assert.equal(set.status, 204);
      assert.equal((await request(socketPath, 'GET', '/v1/status')).status, 200);
      assert.equal((await request(socketPath, 'POST', '/v1/release')).status, 204);
      assert.equal(loop.releases, round);
    }
    await until('the flood went on meanwhile', () => made() > before);
    assert.deepEqual(warnings, [
      `user ${NOBODY} has 8 connections open; more are turned away (this is said once a minute at most)`,
    ]);
  });
});

/** Listens with room for one in the queue, and lets nobody in until it is told to. */
const BUSY = `
const { workerData, parentPort } = require('node:worker_threads');
const server = require('node:http').createServer((_, response) => response.end('here'));
server.listen({ path: workerData.path, backlog: 1 }, () => {
  parentPort.postMessage('listens');
  Atomics.wait(workerData.gate, 0, 0);
});
parentPort.once('message', () => { server.close(); server.closeAllConnections(); });
`;

describe('the client', () => {
  it('waits for its turn when the queue of connections is full', async (context) => {
    const path = join(temporaryFolder(context), 'busy.sock');
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(BUSY, { eval: true, workerData: { path, gate } });
    context.after(() => worker.terminate());
    await new Promise((resolve) => worker.once('message', resolve));
    const inQueue = Array.from({ length: 5 }, () => connect(path).on('error', () => undefined));
    const isFull = new Promise((resolve) => inQueue.at(-1)?.once('error', resolve));
    assert.match(String(await isFull), /EAGAIN/);
    const asked = request(path, 'GET', '/');
    setImmediate(() => {
      Atomics.store(gate, 0, 1);
      Atomics.notify(gate, 0);
    });
    assert.deepEqual(await asked, { status: 200, body: 'here' });
    for (const socket of inQueue) socket.destroy();
  });
});
