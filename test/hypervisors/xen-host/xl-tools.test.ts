/** Protects the last look of a daemon that is told to end: the tools do not end with it, and none is left behind either. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText } from '../../../src/errors.js';
import { runTool } from '../../../src/hypervisors/xen-host/tool.js';

const SIGHT = new URL('../../../src/hypervisors/xen-host/xl-sight.js', import.meta.url).href;
const PATIENCE_MS = 20_000;

interface Looker {
  readonly process: ChildProcess;
  /** What it has printed so far. */
  readonly output: () => string;
  /** The numbers of processes that the tools have noted. */
  readonly noted: () => readonly number[];
}

/** A program, in a process group of its own, that looks at a host whose tools are these scripts. It ends by no SIGINT. */
function startLooker(test: TestContext, scripts: Readonly<Record<string, string>>, limitMs = PATIENCE_MS): Looker {
  const folder = mkdtempSync(join(tmpdir(), 'selfballoon-tools-'));
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), `#!/bin/sh\nnoted=${folder}/noted\n${script}\n`, { mode: 0o755 });
  }
  const program = `
    import { openXlSight } from ${JSON.stringify(SIGHT)};
    process.on('SIGINT', () => undefined);
    process.on('SIGTERM', () => process.exit(3));
    const look = openXlSight().look(AbortSignal.timeout(${limitMs}));
    await look.then((sight) => console.log('seen', sight.total), (error) => console.log(error.code, error.message));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}` },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  test.after(() => {
    child.kill('SIGKILL');
    for (const pid of notedIn(folder)) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  return { process: child, output: () => output, noted: () => notedIn(folder) };
}

function notedIn(folder: string): readonly number[] {
  try {
    return readFileSync(join(folder, 'noted'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** One that is dead and that nobody has asked after counts as dead. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch (error) {
    assert.match(errorText(error), /ENOENT|ESRCH/);
    return false;
  }
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`it never came about that ${what}`);
    await sleep(10);
  }
}

const TOP = 'echo $$ >> $noted; echo "  Domain-0 -----r  266  0.0  819200  19.5  819200  19.5"';
const XL = `echo $$ >> $noted; sleep 1
case $1 in
  info) echo "total_memory : 4095"; echo "free_memory : 2996";;
  list) echo "Domain-0  0  800  2  r-----  259.8";;
esac`;
/** One that does not end, with a child. */
const HUNG = 'sleep 1000 & echo $! >> $noted; echo $$ >> $noted; wait';

describe('a look through the tools', () => {
  it('goes on when Ctrl-C is pressed at the daemon’s terminal', async (test) => {
    const { process: looker, output, noted } = startLooker(test, { xl: XL, xentop: TOP });
    await until('both tools run', () => noted().length >= 2);
    process.kill(-(looker.pid ?? assert.fail()), 'SIGINT');
    await once(looker, 'close');
    assert.equal(output(), 'seen 4193280\n');
  });

  it('that takes too long is ended with the tools’ children', async (test) => {
    const { process: looker, output, noted } = startLooker(test, { xl: HUNG, xentop: HUNG }, 10_000);
    await once(looker, 'close');
    assert.match(output(), /^ETIMEDOUT /);
    assert.equal(noted().length, 4);
    await until('all are gone', () => !noted().some(isAlive));
  });

  it('ends with the daemon, whichever way it ends by itself', async (test) => {
    const { process: looker, noted } = startLooker(test, { xl: HUNG, xentop: HUNG });
    await until('both tools run', () => noted().length === 4);
    looker.kill('SIGTERM');
    await once(looker, 'close');
    await until('all are gone', () => !noted().some(isAlive));
  });

  it('says with which word a tool ended, and takes no more than there can be', async (test) => {
    const failing = startLooker(test, { xl: 'echo "no\tprivcmd" >&2; exit 5', xentop: HUNG });
    await once(failing.process, 'close');
    assert.match(failing.output(), /^EIO .*xl list ended with 5: "no\\tprivcmd"/);
    await until('the other is gone', () => !failing.noted().some(isAlive));
    const endless = startLooker(test, { xl: XL, xentop: 'exec yes' });
    await once(endless.process, 'close');
    assert.match(endless.output(), /^EIO .*xentop -b -f -i 1 does not stop printing/);
  });
});

describe('a tool that is run', () => {
  // A tool that waits for a disk cannot be killed, and may never be closed.
  for (const [what, command, args, words] of [
    ['ends well', 'true', [], null],
    ['fails', 'false', [], /ended with 1/],
    ['is not there', '/nowhere/xl', [], /ENOENT/],
    ['prints without an end', 'yes', ['x'.repeat(4_000)], /does not stop printing/],
  ] as const) {
    it(`leaves nothing with whoever could end it, when it ${what}`, async () => {
      const { signal } = new AbortController();
      const run = runTool(command, args, signal);
      await (words === null ? run : assert.rejects(run, words));
      assert.deepEqual(getEventListeners(signal, 'abort'), []);
    });
  }
});
