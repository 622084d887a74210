/** Protects that domains whose QEMUs hang keep nobody from being looked at, however many they are, nor libvirtd from answering. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ReadOutcome } from '../../../src/control/ports.js';
import { stoppedQemus } from '../../../src/hypervisors/libvirt/stopped-qemus.js';
import { millis } from '../../../src/units.js';
import type { FakeDomain } from '../../virsh/support/fake-libvirt.js';
import { domainOf, openRig, Rig } from './support/rig.js';

const namesOf = (count: number): readonly string[] => Array.from({ length: count }, (_, n) => `d${n}`);

interface Stop {
  readonly domain: FakeDomain;
  readonly goOn: () => void;
}

function stop(domain: FakeDomain): Stop {
  let resolve = (): void => undefined;
  domain.stopped = new Promise((resolved) => (resolve = resolved));
  const goOn = (): void => {
    domain.stopped = null;
    resolve();
  };
  return { domain, goOn };
}

/** A host with so many domains, of which the first so many hang. */
async function openHung(test: TestContext, count: number, hung: number): Promise<{ rig: Rig; stops: readonly Stop[] }> {
  const rig = await openRig(test, ...namesOf(count));
  return { rig, stops: namesOf(hung).map((name) => stop(domainOf(rig, name))) };
}

/** The same, where the kernel says that those are stopped. */
async function openStopped(test: TestContext, count: number, stopped: number): Promise<StoppedRig> {
  const root = mkdtempSync(join(tmpdir(), 'selfballoon-stopped-'));
  const proc = procOf(test, root);
  const rig = new Rig(undefined, undefined, root);
  test.after(() => rig.host.close());
  for (const name of namesOf(count)) rig.libvirt.add(name);
  rig.watch();
  await rig.untilLog(...namesOf(count).map((name) => `came libvirt/${name}`));
  const stops = namesOf(stopped).map((name) => stop(domainOf(rig, name)));
  stops.forEach(({ domain }, n) => {
    proc(n + 100, domain.uuid, 'T');
  });
  return { rig, stops, proc };
}

interface StoppedRig {
  readonly rig: Rig;
  readonly stops: readonly Stop[];
  readonly proc: ReturnType<typeof procOf>;
}

/** Looks so often, with time between two looks for those that are asked aside. */
async function lookTimes(rig: Rig, times: number): Promise<void> {
  for (let looks = 0; looks < times; looks += 1) {
    await lookAtAll(rig);
    await rig.pass(1_900);
  }
}

/** How often a domain was asked how it is, by itself. */
const askedAlone = (rig: Rig, name: string): number =>
  domstats(rig).filter((line) => line === `domstats --state --balloon --nowait ${domainOf(rig, name).uuid}`).length;

/** What is said of all of them within the time that a look has. */
async function lookAtAll(rig: Rig): Promise<readonly ReadOutcome[]> {
  const names = rig.libvirt.domains.map(({ name }) => `libvirt/${name}`);
  const looks: (readonly ReadOutcome[])[] = [];
  void rig.look(names, rig.clock.timeLimit(millis(5_000))).then((seen) => looks.push(seen));
  for (let waited = 0; waited <= 5_000; waited += 100) {
    await rig.pass(100);
    if (looks[0] !== undefined) return looks[0];
  }
  throw new Error('the look did not end');
}

/** Of whom everything is known. */
const known = (outcomes: readonly ReadOutcome[]): readonly string[] =>
  outcomes.flatMap((one) => (one.kind === 'reading' && !isUnreadable(one) ? [one.guest.replace('libvirt/', '')] : []));
const isUnreadable = ({ reading }: Extract<ReadOutcome, { kind: 'reading' }>): boolean =>
  !reading.total.known && reading.total.reason === 'unreadable';
const domstats = ({ libvirt }: Rig): readonly string[] => libvirt.asked.filter((line) => line.startsWith('domstats'));

describe('domains whose QEMUs hang', () => {
  it('are found in one look, which is at all the others', async (test) => {
    const { rig, stops } = await openHung(test, 12, 6);
    const begun = rig.clock.now();
    const seen = await lookAtAll(rig);
    assert.deepEqual(known(seen), namesOf(12).slice(6));
    // They are seen, too: as ones of which nothing else is known.
    assert.equal(seen.filter(({ kind }) => kind === 'reading').length, 12);
    assert.ok(rig.clock.now() - begun <= 4_500);
    for (const { goOn } of stops) goOn();
    await rig.pass(100);
    assert.equal(known(await lookAtAll(rig)).length, 12);
  });

  it('cost those that follow nothing, and are there again in the look after they went on', async (test) => {
    const { rig, stops } = await openHung(test, 12, 6);
    await lookAtAll(rig);
    const begun = rig.clock.now();
    const asked = domstats(rig).length;
    await lookAtAll(rig);
    assert.equal(rig.clock.now() - begun, 100);
    assert.equal(domstats(rig).length, asked + 1);
    stops[3]?.goOn();
    await rig.pass(100);
    assert.ok(known(await lookAtAll(rig)).includes('d3'));
  });

  it('are no more than ten at the same time who keep libvirtd waiting, and the others are asked by name', async (test) => {
    const { rig, stops } = await openHung(test, 240, 14);
    await lookAtAll(rig);
    await lookAtAll(rig);
    assert.ok(rig.connection.probesMax <= 10);
    assert.ok(!domstats(rig).at(-1)?.includes('--list-active'));
    for (const { goOn } of stops) goOn();
    for (let looks = 0; looks < 30; looks += 1) await lookAtAll(rig);
    assert.equal(known(await lookAtAll(rig)).length, 240);
    assert.ok(domstats(rig).at(-1)?.includes('--list-active'));
  });

  it('come to keep no more and no more of libvirtd’s threads, also as one after the other is tried', async (test) => {
    const { rig, stops } = await openHung(test, 24, 20);
    await lookTimes(rig, 5);
    stops[5]?.goOn();
    await lookTimes(rig, 40);
    assert.ok(known(await lookAtAll(rig)).includes('d5'));
    assert.ok(rig.libvirt.waitingMax <= 13, `${rig.libvirt.waitingMax} wait`);
  });

  it('are known to be well again though they have no balloon, when libvirtd was slow once', async (test) => {
    const rig = await openRig(test, ...namesOf(14));
    for (const domain of rig.libvirt.domains.slice(0, 12)) {
      domain.hasBalloon = false;
      rig.libvirt.restart(domain);
    }
    await rig.pass(2_000);
    let isSlow = true;
    rig.libvirt.tamper = (line) => (isSlow && line.startsWith('domstats') ? new Promise(() => undefined) : undefined);
    await lookAtAll(rig);
    isSlow = false;
    await lookTimes(rig, 3);
    assert.equal(known(await lookAtAll(rig)).length, 14);
  });

  it('let those that do not have their turn, where more than ten hang', async (test) => {
    const { rig } = await openHung(test, 15, 12);
    await lookTimes(rig, 5);
    assert.deepEqual(known(await lookAtAll(rig)), ['d12', 'd13', 'd14']);
    assert.equal(rig.libvirt.waitingMax, 12);
  });

  it('are no more than thirteen, and who is not asked for that reason is told how many', async (test) => {
    const { rig } = await openHung(test, 20, 17);
    await lookTimes(rig, 30);
    assert.equal(rig.libvirt.waitingMax, 13);
    const healthy = (await lookAtAll(rig)).find((one) => one.kind === 'reading-failed' && one.guest.endsWith('/d19'));
    assert.ok(healthy?.kind === 'reading-failed');
    assert.match(healthy.error.message, /13 other domains do not answer/);
    assert.doesNotMatch(healthy.error.message, /SIGCONT/);
  });

  it('are not asked again when another begins to hang', async (test) => {
    const { rig } = await openHung(test, 12, 6);
    await lookAtAll(rig);
    stop(domainOf(rig, 'd7'));
    await lookAtAll(rig);
    assert.equal(askedAlone(rig, 'd0'), 1);
    assert.equal(askedAlone(rig, 'd8'), 2);
    assert.equal(known(await lookAtAll(rig)).length, 5);
  });

  it('are forgotten with the connection', async (test) => {
    const { rig, stops } = await openHung(test, 20, 17);
    await lookAtAll(rig);
    assert.ok(!domstats(rig).at(-1)?.includes('--list-active'));
    for (const { goOn } of stops) goOn();
    rig.connection.lose();
    await rig.pass(10_000);
    assert.equal(known(await lookAtAll(rig)).length, 20);
    assert.ok(domstats(rig).at(-1)?.includes('--list-active'));
  });

  it('are asked aside once at a time, however many looks there are meanwhile', async (test) => {
    const { rig, proc } = await openStopped(test, 9, 7);
    await lookAtAll(rig);
    assert.equal(askedAlone(rig, 'd6'), 0);
    proc(106, domainOf(rig, 'd6').uuid, 'S');
    await lookAtAll(rig);
    await lookAtAll(rig);
    assert.equal(askedAlone(rig, 'd6'), 1);
  });

  it('and are left out are not in the question when all others have ended', async (test) => {
    const { rig } = await openStopped(test, 8, 8);
    await lookAtAll(rig);
    for (const domain of rig.libvirt.domains.slice(0, 6)) rig.libvirt.remove(domain);
    await rig.pass(1_000);
    const asked = domstats(rig).length;
    assert.deepEqual(known(await lookAtAll(rig)), []);
    assert.equal(domstats(rig).length, asked);
  });

  it('and are left out are forgotten when they end', async (test) => {
    const { rig } = await openStopped(test, 9, 7);
    await lookAtAll(rig);
    rig.libvirt.remove(domainOf(rig, 'd6'));
    await rig.pass(1_000);
    assert.deepEqual(known(await lookAtAll(rig)), ['d7', 'd8']);
    assert.ok(domstats(rig).at(-1)?.includes('--list-active'));
  });

  it('are not asked where they are stopped, so that the two of 24 that are not are looked at', async (test) => {
    const { rig, stops, proc } = await openStopped(test, 24, 22);
    assert.deepEqual(known(await lookAtAll(rig)), ['d22', 'd23']);
    const seen = await lookAtAll(rig);
    assert.deepEqual(known(seen), ['d22', 'd23']);
    const failed = seen.flatMap((one) => (one.kind === 'reading-failed' ? [one.error] : []));
    assert.ok(failed.length >= 15 && failed.every(({ code }) => code === 'ETIMEDOUT'));
    // One goes on, and then all do.
    stops[21]?.goOn();
    proc(121, domainOf(rig, 'd21').uuid, 'S');
    await lookAtAll(rig);
    assert.deepEqual(known(await lookAtAll(rig)), ['d21', 'd22', 'd23']);
    stops.forEach(({ domain, goOn }, n) => {
      goOn();
      proc(n + 100, domain.uuid, 'S');
    });
    await lookAtAll(rig);
    assert.equal(known(await lookAtAll(rig)).length, 24);
  });

  it('are not meant where it is libvirtd that hangs', async (test) => {
    const rig = await openRig(test, 'd0', 'd1');
    rig.libvirt.tamper = () => new Promise(() => undefined);
    const failed = (await lookAtAll(rig)).filter(({ kind }) => kind === 'reading-failed');
    assert.equal(failed.length, 2);
    assert.equal(rig.connection.probesMax, 0);
    rig.libvirt.tamper = () => undefined;
  });

  it('do not keep the others from being looked at when one ends that is asked for by name', async (test) => {
    const { rig } = await openStopped(test, 24, 22);
    await lookAtAll(rig);
    const [last] = rig.libvirt.domains.splice(23, 1);
    assert.ok(last !== undefined);
    assert.deepEqual(known(await lookAtAll(rig)), ['d22']);
    assert.ok(domstats(rig).at(-2)?.includes(last.uuid));
    assert.ok(!domstats(rig).at(-1)?.includes(last.uuid));
  });
});

/** Puts processes into the `proc` of a folder that is the test's own, and is removed after it. */
function procOf(test: TestContext, root: string): (pid: number, uuid: string, state: string) => void {
  test.after(() => {
    rmSync(root, { recursive: true });
  });
  return (pid, uuid, state) => {
    const folder = join(root, 'proc', String(pid));
    mkdirSync(folder, { recursive: true });
    const words = [
      '/usr/bin/qemu-system-x86_64',
      '-name',
      'guest=a,debug-threads=on',
      '-uuid',
      uuid,
      '-no-user-config',
    ];
    writeFileSync(join(folder, 'cmdline'), words.map((word) => `${word}\0`).join(''));
    writeFileSync(join(folder, 'stat'), `${pid} (a) T ) (b) ${state} 1 ${pid} ${pid} 0 -1 4194560\n`);
  };
}

describe('a QEMU that does not run', () => {
  const openRoot = (): string => mkdtempSync(join(tmpdir(), 'selfballoon-stopped-'));

  it('is told by its process, whatever its name is, and none is where there are no processes', (test) => {
    const root = openRoot();
    assert.deepEqual(stoppedQemus(root, ['x']), new Set());
    const put = procOf(test, root);
    const [stopped, traced, waiting, sleeping, other] = ['a', 'b', 'c', 'd', 'e'];
    put(10, stopped, 'T');
    put(11, traced, 't');
    put(12, waiting, 'D');
    put(13, sleeping, 'S');
    put(14, other, 'T');
    mkdirSync(join(root, 'proc', '15'));
    const found = stoppedQemus(root, [stopped, traced, waiting, sleeping]);
    assert.deepEqual(found, new Set([stopped, traced, waiting]));
  });

  it('is the only one whose command line is read', (test) => {
    const root = openRoot();
    const put = procOf(test, root);
    put(10, 'a', 'T');
    put(11, 'b', 'S');
    // Whoever opens this waits for ever.
    const never = join(root, 'proc', '11', 'cmdline');
    rmSync(never);
    execFileSync('mkfifo', [never]);
    const module = new URL('../../../src/hypervisors/libvirt/stopped-qemus.js', import.meta.url).href;
    const program = `import { stoppedQemus } from ${JSON.stringify(module)};
      console.log([...stoppedQemus(${JSON.stringify(root)}, ['a', 'b'])].join());`;
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program], { timeout: 20_000 });
    assert.equal(ran.stdout.toString(), 'a\n');
  });
});
