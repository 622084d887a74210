import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { loadConfig } from '../../src/config/index.js';
import { SelfballoonError } from '../../src/errors.js';
import { useSeed } from '../support/seed.js';
import { loadText, problemIn, temporaryFile } from './temporary-file.js';

useSeed();

const NOWHERE = '/nonexistent/selfballoon.toml';
const noFile = { file: null, env: {}, flags: {}, defaultFile: NOWHERE };
const AT = 'selfballoon.toml';
const TOP =
  'hypervisor, dry_run, socket, tunables, journal, log, embedded, overflow, pressure, xen_guest, xen_host, qmp, libvirt, agent, guest';

/** Text of a file, and the one problem that it has. */
const PROBLEMS: readonly (readonly [what: string, text: string, problem: string])[] = [
  [
    'a value of the wrong kind',
    'dry_run = false\n\n[tunables]\n  selfballoon_interval = "soon"\n',
    `${AT}:4:3: tunables.selfballoon_interval is "soon"; allowed: a whole number from 1 to 4294967295`,
  ],
  [
    'a number out of range',
    'tunables.selfballoon_interval = 4294967296',
    `${AT}:1:1: tunables.selfballoon_interval is 4294967296; allowed: a whole number from 1 to 4294967295`,
  ],
  [
    'a default that cannot be written, as an old kernel showed it',
    '[tunables]\nselfballoon_interval = 5\nselfballoon_min_usable_mb = 0\n',
    `${AT}:3:1: tunables.selfballoon_min_usable_mb is 0; allowed: a whole number from 1 to 4294967295; leave it out: 0 is its default`,
  ],
  [
    'another 0 that cannot be written, which is no default',
    'tunables.selfballoon_interval = 0\n',
    `${AT}:1:1: tunables.selfballoon_interval is 0; allowed: a whole number from 1 to 4294967295`,
  ],
  [
    'a 0 that is the last character of the file',
    'tunables.selfballoon_interval = 0',
    `${AT}:1:1: tunables.selfballoon_interval is 0; allowed: a whole number from 1 to 4294967295`,
  ],
  [
    'a number that only looks like one in range',
    'embedded.seed = 1.5',
    `${AT}:1:1: embedded.seed is 1.5; allowed: a whole number from 0 to 4294967295`,
  ],
  ['not a number', 'embedded.speed = nan', `${AT}:1:1: embedded.speed is nan; allowed: a number from 0.1 to 10000`],
  ['infinity', 'embedded.speed = inf', `${AT}:1:1: embedded.speed is inf; allowed: a number from 0.1 to 10000`],
  ['a switch of 2', 'tunables.selfballooning = 2', `${AT}:1:1: tunables.selfballooning is 2; allowed: 0 or 1`],
  [
    'a word where auto is possible',
    'tunables.selfballoon_reserved_mb = "many"',
    `${AT}:1:1: tunables.selfballoon_reserved_mb is "many"; allowed: a whole number from 0 to 4294967295, or auto`,
  ],
  ['a word for true', 'dry_run = "yes"', `${AT}:1:1: dry_run is "yes"; allowed: true or false`],
  [
    'a word that is not one of those possible',
    'hypervisor = "vmware"',
    `${AT}:1:1: hypervisor is "vmware"; allowed: "auto", "embedded", "xen-guest", "xen-host", "qmp", "libvirt"`,
  ],
  ['a path that is not absolute', 'socket = "x.sock"', `${AT}:1:1: socket is "x.sock"; allowed: an absolute path`],
  [
    'a libvirt of another host, whose memory is not to be seen from here',
    '[libvirt]\nuri = "qemu+ssh://other/system"',
    `${AT}:2:1: libvirt.uri is "qemu+ssh://other/system"; allowed: a URI of libvirt without a host in it, as qemu:///system`,
  ],
  ['a path with a NUL', 'socket = "/x\\u0000"', `${AT}:1:1: socket is "/x\\u0000"; allowed: an absolute path`],
  [
    'a list with something else in it',
    'overflow.devices = ["/dev/zram0", 1]',
    `${AT}:1:1: overflow.devices is ["/dev/zram0", 1]; allowed: a list of at most 32 different absolute paths`,
  ],
  [
    'a list with more in it than there can be swap devices',
    `[overflow]\ndevices = [${Array.from({ length: 33 }, (_, at) => `"/s${at}"`).join(',')}]`,
    `${AT}:2:1: overflow.devices is ["/s0","/s1","/s2","/s3","/s4","/s5","/s6","/s7","/s8","/s9"…; allowed: a list of at most 32 different absolute paths`,
  ],
  [
    'a list that names a device twice',
    '[overflow]\nreserve_mib = 1\ndevices = ["/dev/zram0", "/dev/zram1", "/dev/zram0"]',
    `${AT}:3:1: overflow.devices has "/dev/zram0" twice; allowed: a list of at most 32 different absolute paths`,
  ],
  [
    'a date',
    'log.level = 1979-05-27',
    `${AT}:1:1: log.level is 1979-05-27; allowed: "debug", "info", "warning", "error"`,
  ],
  [
    'a mistyped key',
    '[tunables]\nselfbaloon_uphysteresis = 1',
    `${AT}:2:1: there is no key tunables.selfbaloon_uphysteresis; did you mean tunables.selfballoon_uphysteresis?`,
  ],
  [
    'a key in the wrong place',
    'selfballoon_interval = 1',
    `${AT}:1:1: there is no key selfballoon_interval; did you mean tunables.selfballoon_interval?`,
  ],
  [
    'a key that is like no other',
    '[log]\nverbosity = 1',
    `${AT}:2:1: there is no key log.verbosity; in [log] there are format, level`,
  ],
  ['a mistyped section', '[tunabels]\nx = 1', `${AT}:1:2: there is no section tunabels; did you mean tunables?`],
  ['a section that is like no other', '[zoo]', `${AT}:1:2: there is no section zoo; at the top there are ${TOP}`],
  [
    'a mistyped key of a guest',
    '[guest."a.b"]\nmin_mb = 1',
    `${AT}:2:1: there is no key guest."a.b".min_mb; did you mean guest."a.b".min_mib?`,
  ],
  ['a key as a section', '[dry_run]', `${AT}:1:2: dry_run is not a section; allowed: true or false`],
  ['a key as an inline section', 'dry_run = { a = 1 }', `${AT}:1:1: dry_run is not a section; allowed: true or false`],
  ['a section as a key', 'log = 1', `${AT}:1:1: log is 1; allowed: a section, [log]`],
  ['a list of sections', '[[log]]\nlevel = "info"', `${AT}:1:3: log is [[log]]; allowed: a section, [log]`],
  ['a guest as a key', 'guest.web = 1', `${AT}:1:1: guest.web is 1; allowed: a section, [guest.web]`],
  ['a guest without a name', '[guest.""]', `${AT}:1:2: guest: a guest's name has from 1 to 255 characters, not 0`],
  [
    'a guest with limits that contradict each other',
    '[guest.web]\nmax_mib = 256\nmin_mib = 512\n',
    `${AT}:2:1: guest.web.max_mib is 256, below min_mib, which is 512; allowed: min_mib or more`,
  ],
  [
    'a stall longer than its window',
    '[pressure]\nwindow_ms = 600\nstall_ms = 601\n',
    `${AT}:3:1: pressure.stall_ms is 601, above pressure.window_ms, which is 600; allowed: window_ms or less`,
  ],
  [
    'a stall longer than the window that is the default',
    'pressure.stall_ms = 1001',
    `${AT}:1:1: pressure.stall_ms is 1001, above pressure.window_ms, which is 1000; allowed: window_ms or less`,
  ],
  ['text that is not TOML', 'dry_run = true\nsocket /run\n', `${AT}:2:8: this is not TOML: Unexpected character`],
  [
    'a key given twice',
    'dry_run = true\ndry_run = true\n',
    `${AT}:2:1: this is not TOML: Defining a key multiple times is invalid`,
  ],
];

describe('what is wrong in a configuration file', () => {
  for (const [what, text, problem] of PROBLEMS) {
    it(`is said in full: ${what}`, async (context) => {
      assert.equal(await problemIn(loadText(context, text)), problem);
    });
  }

  it('is said all at once, twenty at most', async (context) => {
    const text = Array.from({ length: 25 }, (_, at) => `embedded.k${at} = 1\n`).join('');
    const lines = (await problemIn(loadText(context, text))).split('\n');
    assert.equal(lines.length, 22);
    assert.equal(lines[0], 'the configuration has 25 problems:');
    assert.match(lines[20] ?? '', /^ {2}selfballoon\.toml:20:1: there is no key embedded\.k19;/);
    assert.equal(lines[21], '  and 5 more');
  });

  it('is printed without control characters, and cut', async (context) => {
    const problem = await problemIn(loadText(context, `log.level = "\u{202e}${'x'.repeat(500)}"`));
    assert.ok(problem.length < 200);
    assert.doesNotMatch(problem, /\p{Cf}/u);
  });
});

describe('a configuration file that cannot be read', () => {
  const load = (file: string) => problemIn(loadConfig({ file, env: {}, flags: {} }));

  it('is an error when it was named and is missing', async () => {
    assert.equal(await load(NOWHERE), `${AT}: there is no such configuration file`);
  });

  it('is an error when it is not a regular file', async (context) => {
    const folder = dirname(temporaryFile(context, ''));
    assert.match(await load(folder), /this is not a regular file/);
  });

  it('does not hold us up when it is a pipe that nobody writes to', async (context) => {
    const pipe = join(dirname(temporaryFile(context, '')), 'pipe');
    execFileSync('mkfifo', [pipe]);
    assert.match(await load(pipe), /this is not a regular file/);
  });

  it('is an error when it is not UTF-8, or too large', async (context) => {
    assert.equal(
      await load(temporaryFile(context, Buffer.from([0x61, 0xff]))),
      `${AT}: the configuration file is not UTF-8 text`,
    );
    const large = temporaryFile(context, '#'.repeat(1_048_577));
    assert.equal(await load(large), `${AT}: the configuration file is larger than 1 MiB`);
  });
});

describe('what is wrong in the environment and in flags', () => {
  it('is said with the variable', async () => {
    const env = { SELFBALLOON_DRY_RUN: 'maybe' };
    const expected = 'environment variable SELFBALLOON_DRY_RUN: dry_run is "maybe"; allowed: true or false';
    assert.equal(await problemIn(loadConfig({ ...noFile, env })), expected);
  });

  it('is also a variable that sets nothing', async () => {
    const env = { SELFBALLOON_EMBEDED_SPEED: '1', SELFBALLOON_GUEST_WEB_MIN_MIB: '1', SELFBALLOON_TEST_X: '1' };
    assert.deepEqual((await problemIn(loadConfig({ ...noFile, env }))).split('\n').slice(1), [
      '  environment variable SELFBALLOON_EMBEDED_SPEED: there is no such setting; did you mean SELFBALLOON_EMBEDDED_SPEED?',
      '  environment variable SELFBALLOON_GUEST_WEB_MIN_MIB: there is no such setting; unset it',
    ]);
  });

  it('is said of flags', async () => {
    const flags = { embedded: { seed: '12x', speed: null }, log: 'loud' };
    assert.deepEqual((await problemIn(loadConfig({ ...noFile, flags }))).split('\n').slice(1), [
      '  command line: embedded.seed is "12x"; allowed: a whole number from 0 to 4294967295',
      '  command line: embedded.speed is null; allowed: a number from 0.1 to 10000',
      '  command line: log is "loud"; allowed: a section, [log]',
    ]);
  });

  it('is said even where something else counts', async () => {
    const env = { SELFBALLOON_HYPERVISOR: 'x' };
    const problem = await problemIn(loadConfig({ ...noFile, env, flags: { hypervisor: 'auto' } }));
    const allowed = '"auto", "embedded", "xen-guest", "xen-host", "qmp", "libvirt"';
    assert.equal(problem, `environment variable SELFBALLOON_HYPERVISOR: hypervisor is "x"; allowed: ${allowed}`);
  });
});

describe('any configuration', () => {
  const loads = async (load: Promise<unknown>): Promise<boolean> =>
    load.then(
      () => true,
      (error: unknown) => {
        if (error instanceof SelfballoonError && error.code === 'ECONFIG') return true;
        throw error;
      },
    );
  const name = fc.oneof(
    fc.constantFrom('tunables', 'guest', 'log', 'level', 'dry_run', 'min_mib', '__proto__', 'constructor', 'toString'),
    fc.string({ maxLength: 5 }).map((text) => JSON.stringify(text)),
  );
  const value = fc.oneof(
    fc.constantFrom('1', '-1', '0.5', 'inf', 'true', '"auto"', '[]', '{}', '[{}]', '1979-05-27', '[[1],["/x"]]'),
    fc.string({ maxLength: 8 }),
  );
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'));
  const line = fc.oneof(
    fc.tuple(path, value).map(([key, given]) => `${key} = ${given}`),
    path.map((section) => `[${section}]`),
    path.map((section) => `[[${section}]]`),
    fc.string(),
  );

  it('from a file is used or refused with ECONFIG', async (context) => {
    const file = temporaryFile(context, '');
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 8 }), async (lines) => {
        writeFileSync(file, lines.join('\n'));
        return loads(loadConfig({ file, env: {}, flags: {} }));
      }),
      { numRuns: 500 },
    );
  });

  it('from flags and the environment is used or refused with ECONFIG', async () => {
    const flags = fc.object({ key: fc.oneof(fc.constantFrom('guest', 'log', 'tunables', 'min_mib'), fc.string()) });
    const env = fc.dictionary(
      fc.string().map((text) => `SELFBALLOON_${text}`),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(flags, env, (flag, variables) =>
        loads(loadConfig({ ...noFile, flags: { ...flag }, env: variables })),
      ),
      { numRuns: 500 },
    );
  });

  it('survives sections nested a hundred thousand deep', async (context) => {
    for (const text of ['['.repeat(100_000), `x = ${'['.repeat(100_000)}`, `${'a.'.repeat(20_000)}a = 1`]) {
      assert.ok(await loads(loadText(context, text)));
    }
  });
});
