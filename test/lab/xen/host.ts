/**
 * A whole Xen host, driven from its dom0: the daemon there, reporters in the guests, Xen's own word on who holds what. Protects
 * that memory goes from those who do not need it to one who does, that nothing is promised which is not free, and that one
 * guest's end, silence or disobedience costs the others nothing.
 */
import assert from 'node:assert/strict';
import { before, describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Background } from '../../../lab/xen/background.js';
import { waitUntilItAnswers, type Daemon } from '../../../lab/xen/daemon.js';
import type { Dom0 } from '../../../lab/xen/dom0.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { quote, waitFor, writeText } from '../../../lab/xen/shell.js';
import { dynamicMinimum } from './dynamic-minimum.js';
import { tunablesSection } from './stripes.js';
import { askToShrink } from './shrinking.js';
import { statusByCommand, statusOf, type ShownStatus } from './status.js';
import { stuckGuests } from './stuck-guests.js';
import { allowUsedNode, usedMemory } from './used-memory.js';
import type { XenWorld } from './world.js';

const PROXY = '/run/xenstored-proxy';
const IDLE_MIB = 384;
const BUSY_MIB = 192;
const BUSY_MAX_MIB = 512;
const HOG_MIB = 300;
const KIB = 1024;
/** What the host may promise at the start: too little for the busy guest, so that it needs what the idle ones give. */
const SPARE_MIB = 24;
const INTERVAL_S = 2;
const DOWNHYSTERESIS = 3;
const TWO_ROUNDS_MS = 2 * INTERVAL_S * 1_000;

const GUESTS = [
  { name: 'first', memoryMib: IDLE_MIB },
  { name: 'second', memoryMib: IDLE_MIB },
  { name: 'busy', memoryMib: BUSY_MIB, maximumMib: BUSY_MAX_MIB },
  // Nobody reports in it.
  { name: 'qubes', memoryMib: 256, maximumMib: 384 },
] as const;

/** Swap, for a guest without any is never asked for memory, and somebody who reports: it is returned. */
async function prepare(guest: XenGuest): Promise<Background> {
  await guest.run('echo 160M > /sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null && swapon /dev/zram0');
  return startReporter(guest, { isWatching: guest.name === 'busy' });
}

/** Under emulation dropping file pages is so slow that it counts as a stall, for which whoever watches gets all that is free. */
async function startReporter(guest: XenGuest, { isWatching }: { readonly isWatching: boolean }): Promise<Background> {
  await writeText(guest, '/run/report.toml', `[pressure]\nwatch = ${isWatching}\n`);
  return guest.startProgram('selfballoon report --config /run/report.toml', 'report');
}

/** What is no report, one that says what cannot be, and one that is too long to be looked at; and what is to be seen of each. */
const NONSENSE = [
  { text: '{', seen: /is not an object of JSON/ },
  { text: '{"v":1,"beat":1,"committed":-1}', seen: /committed is "-1"/ },
  { text: `{"v":1,"beat":9,"x":"${'y'.repeat(3_000)}"}`, seen: /longer than \d+ characters/ },
];

/** What is shown of what a guest says. */
const sayOf = ({ why, reading }: ShownStatus['guests'][number]): string => `${why}; ${reading?.refusal ?? ''}`;

/** Says again and again what Xen has free, in MiB. */
const FREE_MEMORY = `while :; do xl info | sed -n 's/^free_memory *: //p'; sleep 2; done`;

/** The configuration of a host that keeps `reserveMib` for itself. */
const hostConfig = (reserveMib: number): string =>
  `${tunablesSection({ selfballoon_interval: INTERVAL_S, selfballoon_downhysteresis: DOWNHYSTERESIS })}[xen_host]\nsocket = "${PROXY}"\nreserve_mib = ${reserveMib}\n`;

/** Guests of other suites may be there meanwhile if they keep their size from before this suite to its end. */
export function hostTests(world: XenWorld): void {
  describe('a whole host', { concurrency: 1 }, () => {
    const reporters = new Map<string, Background>();
    let proxyComes: Promise<Background> | null = null;
    before(() => {
      // While the guests boot; it is waited for when they have.
      if (world.isBooted()) proxyComes = startProxy(world.dom0());
      proxyComes?.catch(() => undefined);
    });
    const guest = world.guests(GUESTS, async (made) => {
      if (made.name === 'qubes') return allowUsedNode(world.dom0(), made);
      reporters.set(made.name, await prepare(made));
      const node = `/local/domain/${made.domain}/data/selfballoon/report`;
      await world.dom0().waitUntil(`xenstore-exists ${node}`, { what: `a report of ${made.name}`, limitMs: 300_000 });
    });
    const first = (): XenGuest => guest('first');
    const second = (): XenGuest => guest('second');
    const busy = (): XenGuest => guest('busy');
    let daemon: Daemon;
    let proxy: Background;
    let reserveMib = 0;

    before(async () => {
      if (!world.isBooted()) return;
      const dom0 = world.dom0();
      assert.ok(proxyComes !== null);
      proxy = await proxyComes;
      reserveMib = (await dom0.freeMib()) - SPARE_MIB;
      daemon = await startHost(dom0, 'host', reserveMib);
    });

    /** Waits for that word of the daemon's. */
    async function untilItSays(pattern: string, limitMs: number): Promise<void> {
      assert.match(await daemon.waitForLog(pattern, limitMs), new RegExp(pattern));
    }

    world.it('sees every domain, and what it really holds', async () => {
      // It may be changing at that moment, and what is shown is of the last look.
      const what = 'what Xen says the busy guest holds, in the status,';
      const status = await waitFor({ what, limitMs: 60_000 }, async () => {
        const held = await busy().heldKib();
        const seen = await statusOf(world.dom0());
        const shown = seen.guests.find(({ name }) => name === 'busy')?.currentPages ?? 0;
        return Math.abs(shown * 4 - held) <= KIB ? seen : null;
      });
      const names = await world.dom0().domainNames();
      assert.deepEqual(
        GUESTS.filter(({ name }) => !names.includes(name)),
        [],
      );
      assert.deepEqual(status.guests.map(({ name }) => name).sort(), names);
      assert.ok(status.hosts[0]?.freePages !== null);
      const byCommand = await statusByCommand(world.dom0());
      assert.deepEqual(byCommand.guests.map(({ name }) => name).sort(), names);
    });

    world.it('two idle guests give memory, and a third that needs it gets it; nobody is killed', async (t) => {
      await waitFor({ what: 'memory of the idle guests', limitMs: 240_000 }, async () =>
        (await first().heldKib()) + (await second().heldKib()) < 1.2 * IDLE_MIB * KIB ? true : null,
      );
      const freeMemory = await world.dom0().startProgram(`sh -c ${quote(FREE_MEMORY)}`, 'free-memory');
      const hog = await busy().startProgram(`node /app/lab/guest/memory-hog.js ${HOG_MIB} 10 200`, 'hog');
      const said = await hog.waitForLog('"holds"|allocation-failed', 400_000);
      assert.ok(said.includes('"holds"'), said);
      await freeMemory.signal('KILL');
      const freeMibMin = Math.min(...(await freeMemory.log()).trim().split('\n').map(Number));
      const held = await busy().heldKib();
      t.diagnostic(`the busy guest holds ${held / KIB} MiB; the host never had less than ${freeMibMin} MiB free`);
      assert.ok(held > (BUSY_MIB + SPARE_MIB) * KIB, `${held} KiB: no more than it could have had without the others`);
      // `xl info` shows whole MiB, and a few pages of each domain are Xen's own.
      assert.ok(freeMibMin >= reserveMib - 4, `${freeMibMin} MiB free at some time, ${reserveMib} are the host's own`);
      assert.equal((await busy().run('dmesg | grep -ci "killed process"; true')).trim(), '0');
      await hog.signal('TERM');
      await hog.waitForEnd();
      assert.match(await hog.log(), /"checked".*"damaged":0/);
      // What is free is for the guests of the tests that follow.
      await reporters.get('busy')?.signal('TERM');
      await reporters.get('busy')?.waitForEnd();
      reporters.set('busy', await startReporter(busy(), { isWatching: false }));
    });

    stuckGuests(world, { host: () => daemon, guest: first, givenMib: IDLE_MIB, others: () => [second(), busy()] });
    dynamicMinimum(world, { host: () => daemon, guest: first, givenMib: IDLE_MIB });
    usedMemory(world, {
      host: () => daemon,
      downhysteresis: DOWNHYSTERESIS,
      guest: () => guest('qubes'),
      spareMib: async () => {
        const isPromised = (await statusOf(world.dom0())).guests.some(({ phase }) => phase === 'growing');
        return isPromised ? 0 : (await world.dom0().freeMib()) - reserveMib;
      },
    });

    world.it('the connection to xenstored is lost and found again, and nothing is forgotten', async () => {
      await proxy.signal('KILL');
      await untilItSays('connection to xenstored is lost', 30_000);
      proxy = await startProxy(world.dom0());
      await untilItSays('xenstored is connected to again', 30_000);
      assert.equal((await daemon.log()).match(/second:\d+: found/g)?.length, 1);
      const target = '/local/domain/$(xl domid second)/memory/target';
      await world.dom0().run(`xenstore-write ${target} ${IDLE_MIB * KIB}`);
      await waitFor({ what: 'a target over the new connection', limitMs: 60_000 }, async () =>
        Number(await world.dom0().run(`xenstore-read ${target}`)) < IDLE_MIB * KIB ? true : null,
      );
    });

    world.it('nonsense in a report costs its guest its say, which is shown, and nobody else anything', async () => {
      const node = '/local/domain/$(xl domid second)/data/selfballoon/report';
      const reporter = reporters.get('second');
      // It would write over the nonsense within a second.
      await reporter?.signal('STOP');
      try {
        for (const { text, seen } of NONSENSE) {
          await world.dom0().run(`xenstore-write ${node} '${text}'`);
          const what = `word of ${text.slice(0, 40)}`;
          const guests = await waitFor({ what, limitMs: 60_000 }, async () => {
            const shown = (await statusOf(world.dom0())).guests;
            return shown.some((guest) => seen.test(sayOf(guest))) ? shown : null;
          });
          assert.deepEqual(
            guests.filter((guest) => seen.test(sayOf(guest))).map(({ name }) => name),
            ['second'],
          );
          assert.ok(guests.every(({ phase }) => phase !== 'unreadable'));
        }
      } finally {
        await reporter?.signal('CONT');
      }
      assert.ok(await daemon.isRunning());
    });

    world.it('a guest destroyed in the middle of a change is dropped, and leaves nothing in xenstore', async () => {
      const { domain } = second();
      await askToShrink({ dom0: world.dom0(), guest: second(), givenMib: IDLE_MIB }, `xl destroy ${second().name}`);
      await untilItSays('second:[0-9]+: left', 60_000);
      // Long enough for whatever was still on its way.
      await sleep(TWO_ROUNDS_MS);
      assert.ok((await statusOf(world.dom0())).guests.every(({ name }) => name !== 'second'));
      assert.notEqual((await world.dom0().tryRun(`xenstore-exists /local/domain/${domain}`)).code, 0);
      assert.ok(await daemon.isRunning());
    });

    world.it('a guest that reboots while it is small has everything again, before anybody in it speaks', async () => {
      const dom0 = world.dom0();
      const { name, domain } = busy();
      await waitFor({ what: 'a small guest', limitMs: 400_000 }, async () =>
        (await busy().heldKib()) < (BUSY_MAX_MIB / 2) * KIB ? true : null,
      );
      const report = `/local/domain/$(xl domid ${name})/data/selfballoon/report`;
      await busy().run('(sleep 1; reboot -f) >/dev/null 2>&1 </dev/null &');
      try {
        await untilItSays(`${name}:[0-9]+: the same machine left not long ago`, 120_000);
        const held = `$(xl list ${name} | awk 'NR == 2 { print $3 }')`;
        await dom0.waitUntil(`[ ${held} -ge ${BUSY_MAX_MIB - 1} ]`, { what: 'all of its memory', limitMs: 60_000 });
        assert.notEqual(Number(await dom0.run(`xl domid ${name}`)), domain);
        assert.notEqual((await dom0.tryRun(`xenstore-exists ${report}`)).code, 0, 'somebody in it has spoken');
      } finally {
        // Nobody knows the new domain by its number.
        await dom0.run(`xl destroy ${name}`);
      }
    });

    world.it('after kill -9, release without a daemon gives back what was taken', async () => {
      await waitFor({ what: 'something to give back', limitMs: 60_000 }, async () =>
        (await first().heldKib()) < IDLE_MIB * KIB ? true : null,
      );
      await daemon.signal('KILL');
      await daemon.waitForEnd();
      const said = await world.dom0().run(`selfballoon release --hypervisor xen-host --config ${daemon.config}`);
      assert.match(said, /[1-9]\d* guests? (was|were) told to take back/);
      await waitFor({ what: 'its memory back in the guest', limitMs: 60_000 }, async () =>
        (await first().heldKib()) >= IDLE_MIB * KIB ? true : null,
      );
    });
  });
}

async function startProxy(dom0: Dom0): Promise<Background> {
  const proxy = await dom0.startProgram(
    `node /app/lab/guest/socket-proxy.js ${PROXY} /run/xenstored/socket`,
    'xenstored-proxy',
  );
  assert.match(await proxy.waitForLog('listens', 300_000), /listens/);
  return proxy;
}

async function startHost(dom0: Dom0, name: string, reserveMib: number): Promise<Daemon> {
  const daemon = await dom0.start({ name, config: hostConfig(reserveMib), flags: ['--hypervisor', 'xen-host'] });
  await waitUntilItAnswers(daemon);
  const isThere = `${(await dom0.domainNames()).length - 1} guests hold`;
  assert.match(await daemon.waitForLog(isThere, 120_000), new RegExp(isThere));
  return daemon;
}
