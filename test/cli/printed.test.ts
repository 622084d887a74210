/** Protects terminals, and whoever reads them: paths and the words of others move no cursor, and make no line that passes for one of ours. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runDoctor } from '../../src/cli/commands/doctor.js';
import { releaseAll } from '../../src/cli/commands/release.js';
import { getTunables, showStatus } from '../../src/cli/commands/talk.js';
import { openLog, sayInfo, sayWarning } from '../../src/cli/daemon/log.js';
import { renderTable } from '../../src/cli/daemon/table.js';
import { temporaryFolder } from '../server/fakes.js';
import { selfballoon } from './support/program.js';

/** CSI in two spellings, a line of the doctor's own, and a mark that turns letters around. */
const HARMFUL = 'x\u001b[2J\u009b2J\nok    all is well\u202e\u2028';
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** A configuration with a name as it can be given to any file, and a monitor's path of that kind in it: one without an end of line, which is refused. */
function harmfulConfig(test: TestContext) {
  const folder = temporaryFolder(test);
  const config = join(folder, `${HARMFUL}.toml`);
  const sockets = JSON.stringify([join(folder, HARMFUL.replaceAll('\n', ' '))]);
  writeFileSync(config, `hypervisor = "qmp"\n[qmp]\nsockets = ${sockets}\n`);
  return { config, socket: join(folder, `${HARMFUL}.sock`) };
}

/** Another program answers where the daemon would. */
async function answering(test: TestContext, status: number, body: string): Promise<{ readonly socket: string }> {
  const socket = join(temporaryFolder(test), 'daemon.sock');
  const server = createServer((_, response) => void response.writeHead(status).end(body));
  await new Promise<void>((resolve) => void server.listen(socket, resolve));
  test.after(() => server.close());
  return { socket };
}

describe('what the doctor prints', () => {
  it('has nothing in it that cannot be seen, and no lines but its own', async (test) => {
    const flags = harmfulConfig(test);
    const printed: string[] = [];
    await runDoctor(flags, (text) => printed.push(text));
    assert.ok(printed.some((text) => text.includes('\\u009b2J\\u000aok    all is well')));
    for (const line of printed.join('\n').split('\n')) {
      assert.doesNotMatch(line, UNSEEN);
      assert.doesNotMatch(line, /^ok +all is well/);
    }
  });

  it('has neither as JSON, and is the same when it is read back', async (test) => {
    const flags = { ...harmfulConfig(test), json: true };
    const printed: string[] = [];
    await runDoctor(flags, (text) => printed.push(text));
    assert.doesNotMatch(printed.join(), UNSEEN);
    assert.match(JSON.stringify(JSON.parse(printed.join())), /\u009b2J.*\u202e/);
  });
});

describe('what the table shows', () => {
  it('has none of it either, and each guest stays on its line', () => {
    const sizes = { currentPages: 1, maximumPages: 1, goalPages: 1, targetPages: 1 };
    const guest = { id: 'a/x', name: 'x', isSimulated: false, isDriven: true, phase: 'failed', ...sizes } as const;
    const shown = { isDryRun: false, sources: [HARMFUL], hosts: [], guests: [{ ...guest, why: HARMFUL }] };
    const text = renderTable(shown, { width: 160, height: null, isTerminal: false });
    for (const line of text.split('\n')) assert.doesNotMatch(line, UNSEEN);
    assert.equal(text.split('\n').filter((line) => line.includes('all is well')).length, 2);
  });
});

describe('a line of the log', () => {
  for (const format of ['text', 'json'] as const) {
    it(`is one line without any of it (${format})`, async () => {
      const lines: string[] = [];
      const logger = await openLog({ format, level: 'info' }, (line) => lines.push(line), false);
      sayInfo(logger)(HARMFUL);
      sayWarning(logger)(`{braces} ${HARMFUL}`);
      assert.equal(lines.length, 2);
      for (const line of lines) assert.doesNotMatch(line, UNSEEN);
      assert.match(lines[1] ?? '', /\{braces\}/);
    });
  }
});

describe('what another program answers in the place of the daemon', () => {
  it('is printed without any of it', async (test) => {
    const list = JSON.stringify({ tunables: [{ name: HARMFUL, value: HARMFUL, unit: '' }] });
    const printed: string[] = [];
    const print = (text: string): void => void printed.push(text);
    await showStatus({ ...(await answering(test, 200, `"${HARMFUL}"`)), json: true }, print);
    await getTunables('x', await answering(test, 200, HARMFUL), print);
    for (const line of printed.join('\n').split('\n')) assert.doesNotMatch(line, UNSEEN);
    printed.splice(0);
    await getTunables(undefined, await answering(test, 200, list), print);
    assert.doesNotMatch(printed.join(), UNSEEN);
  });

  it('is no line of its own in an error', async (test) => {
    const flags = await answering(test, 409, JSON.stringify({ code: 'EIO', message: HARMFUL }));
    await assert.rejects(releaseAll(flags), (error) => error instanceof Error && !UNSEEN.test(error.message));
  });
});

describe('an error at the end of the program', () => {
  it('has nothing of a path that a terminal would obey', async (test) => {
    const { config } = harmfulConfig(test);
    writeFileSync(config, 'hypervisor = "none"\n');
    const { code, err } = await selfballoon('status', '--config', config);
    assert.equal(code, 1);
    assert.match(err, /\\u009b2J/);
    for (const line of err.trimEnd().split('\n')) assert.doesNotMatch(line, UNSEEN);
  });
});
