/** Protects what measures how late a command goes to a monitor: nothing is changed on its way, and each command is noted once. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { WireTap } from '../../lab/qemu/wire-tap.js';

describe("the tap on a monitor's wire", () => {
  let folder: string;
  let monitor: Server;
  let came = '';
  let tap: WireTap;
  const clients: Socket[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'selfballoon-tap-'));
    came = '';
    monitor = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write('{"QMP": {}}\n');
      socket.on('data', (chunk: Buffer) => {
        came += chunk.toString();
        socket.write('{"return": {}}\n');
      });
    });
    monitor.listen(join(folder, 'monitor'));
    await once(monitor, 'listening');
    tap = await WireTap.open({ listen: join(folder, 'tap'), target: join(folder, 'monitor') });
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await tap.close();
    monitor.close();
    rmSync(folder, { recursive: true });
  });

  async function connect(): Promise<Socket> {
    const client = createConnection(join(folder, 'tap')).on('error', () => undefined);
    clients.push(client);
    const [greeting] = (await once(client, 'data')) as [Buffer];
    assert.equal(greeting.toString(), '{"QMP": {}}\n');
    return client;
  }

  it('hands everything on and notes each command with its arguments, also one that comes in pieces', async () => {
    const client = await connect();
    const text = '{"execute":"qmp_capabilities"}\n{"execute":"balloon","arguments":{"value":104857600},"id":2}\n';
    for (const piece of [text.slice(0, 20), text.slice(20, 60), text.slice(60)]) {
      const answered = once(client, 'data');
      client.write(piece);
      await answered;
    }
    assert.equal(came, text);
    assert.deepEqual(
      tap.commands().map(({ name, args }) => ({ name, args })),
      [
        { name: 'qmp_capabilities', args: null },
        { name: 'balloon', args: { value: 104857600 } },
      ],
    );
    const [balloon] = tap.commands('balloon');
    assert.ok(balloon !== undefined && balloon.atMs <= performance.now());
    assert.equal(tap.commands('balloon').length, 1);
  });

  it('hands on what is no command, and notes nothing', async () => {
    const client = await connect();
    const answered = once(client, 'data');
    client.write('no JSON\n{"return":1}\n[]\nnull\n');
    await answered;
    assert.equal(came, 'no JSON\n{"return":1}\n[]\nnull\n');
    assert.deepEqual(tap.commands(), []);
  });

  it('cuts connections, and takes new ones', async () => {
    const client = await connect();
    const closed = once(client, 'close');
    tap.cut();
    await closed;
    await connect();
  });

  it('leaves no socket behind', async () => {
    await tap.close();
    assert.ok(!existsSync(join(folder, 'tap')));
    tap = await WireTap.open({ listen: join(folder, 'tap'), target: join(folder, 'monitor') });
  });
});
