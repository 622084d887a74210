/** Protects a daemon that somebody has started by hand from the stop action of a unit that could not start beside it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { releaseAll } from '../../src/cli/commands/release.js';
import { temporaryFolder } from '../server/fakes.js';
import { XenGuestRoot } from './xen-guest-root.js';

const HEALTH = '{"status":"ok","version":"0.1.0"}';

/** Somebody answers there, and notes what is asked. */
async function daemonAt(test: TestContext, socket: string, says = HEALTH, status = 200): Promise<readonly string[]> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(status).end(says);
  });
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  test.after(() => server.close());
  return asked;
}

/** A guest of 256 MiB that has given up half of it. */
function halved(test: TestContext) {
  const root = new XenGuestRoot(test);
  root.putBalloon('target_kb', '131072\n');
  const folder = temporaryFolder(test);
  const config = join(folder, 'config.toml');
  writeFileSync(config, `[xen_guest]\nroot = "${root.path}"\n`);
  return { root, flags: { config, socket: join(folder, 'daemon.sock') } };
}

describe('release --unless-driven', () => {
  it('only asks a daemon whether it is there', async (test) => {
    const { root, flags } = halved(test);
    const asked = await daemonAt(test, flags.socket);
    assert.match(await releaseAll({ ...flags, unlessDriven: true }), /goes on: nothing was released/);
    assert.deepEqual(asked, ['GET /v1/health']);
    assert.equal(root.target.trim(), '131072');
  });

  it('does not take another program for a daemon', async (test) => {
    const { root, flags } = halved(test);
    for (const says of ['hello', '{}', 'null']) {
      const folder = temporaryFolder(test);
      const socket = join(folder, 'other.sock');
      await daemonAt(test, socket, says);
      await assert.rejects(releaseAll({ ...flags, socket, unlessDriven: true }), /another program answers/);
    }
    assert.equal(root.target.trim(), '131072');
  });

  it('gives everything back where none answers', async (test) => {
    const { root, flags } = halved(test);
    await releaseAll({ ...flags, unlessDriven: true });
    assert.equal(root.target.trim(), '262144');
  });

  it('also where the configuration is what is broken', async (test) => {
    const { root, flags } = halved(test);
    writeFileSync(flags.config, 'min_mib = "a lot"\n[tuna');
    const asked = await daemonAt(test, flags.socket);
    const defaults = { root: root.path, warn: () => undefined };
    assert.match(await releaseAll({ ...flags, unlessDriven: true }, defaults), /nothing was released/);
    assert.deepEqual(asked, ['GET /v1/health']);
  });

  it('is not the default: a daemon gives everything back', async (test) => {
    const { flags } = halved(test);
    const asked = await daemonAt(test, flags.socket);
    await releaseAll(flags);
    assert.deepEqual(asked, ['POST /v1/release']);
  });

  it('does nothing beside a daemon that cannot do it now, which has the same code as none at all', async (test) => {
    const { root, flags } = halved(test);
    const refusal = '{"code":"EUNAVAILABLE","message":"the daemon has too much to do; ask again later"}';
    await daemonAt(test, flags.socket, refusal, 503);
    await assert.rejects(releaseAll(flags), { code: 'EUNAVAILABLE', message: /too much to do/ });
    assert.equal(root.target.trim(), '131072');
  });
});
