/**
 * The whole loop over a Xen host, with the rule for hosts, on virtual time: the daemon's own loop, step and executor, a xenstored on a
 * real socket, and guests that obey, or do not. Real Xen does the same in the lab.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { untilAborted } from '../../../src/waiting/abort.js';
import { createStep, initialState } from '../../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../../src/control/tunables.js';
import { lookTooSlow } from '../../../src/hypervisors/xen-host/errors.js';
import { hostPolicy, type SelfshrinkMemory } from '../../../src/policies/index.js';
import { Loop } from '../../../src/runtime/loop.js';
import { addMillis, millis } from '../../../src/units.js';
import type { FakeXen } from './support/fake-xen.js';
import { reportText } from '../../support/report-text.js';
import { NEVER, REPORT, Rig } from './support/rig.js';

const MIB = 1_024;
const HIDDEN_KIB = 16 * MIB;

/** A guest as its kernel sees it. All in KiB. */
interface Life {
  committed: number;
  behaviour: 'obeys' | 'ignores';
  /** Nobody in it reports. */
  readonly isSilent?: boolean;
}

/** A host of 1 GiB beside dom0, with guests whose kernels do what their targets say, and a loop that drives it. */
class Host {
  readonly lives = new Map<number, Life>();
  readonly told: string[] = [];
  readonly texts: string[] = [];
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  readonly #moving: Promise<void>;
  readonly loop: Loop<SelfshrinkMemory>;
  #beat = 0;

  private constructor(readonly rig: Rig) {
    this.loop = new Loop<SelfshrinkMemory>({
      step: createStep(hostPolicy),
      policyName: hostPolicy.name,
      state: initialState({ tunables: DEFAULT_TUNABLES, isDryRun: false, hasFrontswap: false, limits: {} }),
      clock: rig.clock,
      hypervisors: [rig.host],
      journal: null,
      tell: ({ code, guest, level, text }) => {
        this.texts.push(text);
        if (level !== 'debug') this.told.push(`${Math.round(rig.clock.now() / 1_000)} s ${guest ?? ''} ${code}`);
      },
    });
    this.#moving = this.#live();
    this.#running = this.loop.run(this.#ending.signal);
  }

  static async open(test: TestContext, prepare: (xen: FakeXen, lives: Map<number, Life>) => void): Promise<Host> {
    const lives = new Map<number, Life>();
    const rig = await Rig.open(
      test,
      (xen) => {
        xen.totalKib = 819_200 + 1_024 * MIB;
        prepare(xen, lives);
      },
      { isWatched: false },
    );
    const host = new Host(rig);
    for (const [domid, life] of lives) host.lives.set(domid, life);
    test.after(() => host.end());
    return host;
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await this.#moving;
  }

  /** Every half second each guest moves by up to 128 MiB, as far as Xen's limit and the host's memory let it, and reports. */
  async #live(): Promise<void> {
    const { clock } = this.rig;
    while (!this.#ending.signal.aborted) {
      for (const [domid, life] of this.lives) this.#liveOne(domid, life);
      await clock.sleepUntil(addMillis(clock.now(), millis(500)), this.#ending.signal);
    }
  }

  #liveOne(domid: number, { committed, behaviour, isSilent = false }: Life): void {
    const { xen } = this.rig;
    const domain = xen.domains.get(domid);
    if (domain === undefined) return;
    const target = Math.min(Number(xen.text(`/local/domain/${domid}/memory/target`)), domain.limit ?? Infinity);
    if (behaviour === 'obeys') {
      const step = Math.max(-128 * MIB, Math.min(128 * MIB, target - domain.held));
      assert.ok(step <= xen.freeKib, `domain ${domid} was promised ${step} KiB, and ${xen.freeKib} are free`);
      domain.held += step;
    }
    if (isSilent) return;
    this.#beat += 1;
    const total = domain.held - HIDDEN_KIB;
    const free = Math.max(0, total - committed);
    const sizes = { current: domain.held, total, free, available: free, cached: 0, committed, reserve: 4 * MIB };
    const text = reportText(this.#beat, { ...sizes, maxPfn: 131_072 });
    xen.put(`/local/domain/${domid}/${REPORT}`, text);
  }

  to(seconds: number): Promise<void> {
    return this.rig.to(seconds * 1_000);
  }

  mib(domid: number): number {
    return Math.round((this.rig.xen.domains.get(domid)?.held ?? Number.NaN) / MIB);
  }

  heard(code: string): readonly string[] {
    return this.told.filter((line) => line.endsWith(` ${code}`));
  }
}

const guest = (xen: FakeXen, lives: Map<number, Life>, domid: number, held: number, committed: number): void => {
  xen.create(domid, { held: held * MIB, staticMax: 512 * MIB });
  lives.set(domid, { committed: committed * MIB, behaviour: 'obeys' });
};

describe('a Xen host that is driven', () => {
  it('takes from two idle guests what a busy one then gets', async (test) => {
    const host = await Host.open(test, (xen, lives) => {
      for (const domid of [1, 2]) guest(xen, lives, domid, 450, 40);
      guest(xen, lives, 3, 100, 60);
    });
    await host.to(60);
    for (const domid of [1, 2]) assert.ok(host.mib(domid) < 250, `domain ${domid} holds ${host.mib(domid)} MiB`);
    const busy = host.lives.get(3);
    assert.ok(busy !== undefined);
    busy.committed = 420 * MIB;
    await host.to(120);
    assert.ok(host.mib(3) >= 420, `the busy guest holds ${host.mib(3)} MiB`);
    assert.ok(host.rig.xen.freeKib >= 0);
    assert.deepEqual(host.heard('stuck'), []);
    assert.deepEqual(host.heard('action-failed'), []);
  });

  it('moves Xen’s limit ahead of each target, so that no guest can take more than it was told', async (test) => {
    const host = await Host.open(test, (xen, lives) => {
      guest(xen, lives, 1, 450, 40);
    });
    await host.to(30);
    const target = Number(host.rig.xen.text('/local/domain/1/memory/target'));
    assert.ok(target < 450 * MIB);
    assert.equal(host.rig.xen.domains.get(1)?.limit, target + 1_024);
  });

  it('tells of a guest that does not obey within 5 s, and goes on with the others', async (test) => {
    const host = await Host.open(test, (xen, lives) => {
      guest(xen, lives, 1, 450, 40);
      guest(xen, lives, 2, 450, 40);
    });
    const stubborn = host.lives.get(1);
    assert.ok(stubborn !== undefined);
    stubborn.behaviour = 'ignores';
    let askedAt: number | null = null;
    for (let second = 1; second <= 40 && host.heard('stuck').length === 0; second += 1) {
      await host.to(second);
      const isAsked = host.rig.xen.text('/local/domain/1/memory/target') !== `${450 * MIB}`;
      if (isAsked) askedAt ??= second;
    }
    const [told = ''] = host.heard('stuck');
    assert.match(told, /xen-host\/guest-1:1 stuck$/);
    assert.ok(askedAt !== null && Number.parseInt(told) - askedAt <= 5, `asked at ${askedAt ?? '?'} s: ${told}`);
    await host.to(60);
    assert.ok(host.mib(2) < 250);
    assert.equal(host.mib(1), 450);
    stubborn.behaviour = 'obeys';
    await host.to(90);
    assert.equal(host.heard('obeys-again').length, 1);
  });

  it('loses a guest that is destroyed in the middle of a change, and nothing else', async (test) => {
    const host = await Host.open(test, (xen, lives) => {
      guest(xen, lives, 1, 450, 40);
      guest(xen, lives, 2, 450, 40);
    });
    await host.to(6);
    assert.ok(host.mib(1) < 450);
    host.rig.xen.destroy(1);
    host.lives.delete(1);
    await host.to(60);
    assert.deepEqual(host.heard('guest-left'), ['6 s xen-host/guest-1:1 guest-left']);
    assert.ok(host.mib(2) < 250);
    assert.equal(host.rig.xen.text('/local/domain/1'), null);
    assert.deepEqual(
      host.loop.state.guests.list.map(({ guest: { id } }) => id),
      ['xen-host/Domain-0:0', 'xen-host/guest-2:2'],
    );
  });

  it('takes nothing more while the connection is lost, loses nobody, and goes on when it is found', async (test) => {
    const host = await Host.open(test, (xen, lives) => {
      guest(xen, lives, 1, 450, 40);
      guest(xen, lives, 2, 450, 40);
    });
    await host.to(7);
    host.rig.isDown = true;
    await host.rig.cut();
    await host.to(12);
    const before = [host.mib(1), host.mib(2)];
    await host.to(60);
    assert.deepEqual([host.mib(1), host.mib(2)], before);
    assert.deepEqual(host.heard('guest-left'), []);
    host.rig.isDown = false;
    await host.to(120);
    assert.ok(host.mib(1) < 250 && host.mib(2) < 250, `${host.mib(1)} and ${host.mib(2)} MiB`);
    assert.equal(host.rig.told.length, 2);
    assert.equal(host.heard('guest-came').length, 3);
  });

  it('leaves a guest whose reports stop where it is', async (test) => {
    const host = await Host.open(test, (xen, lives) => {
      guest(xen, lives, 1, 450, 300);
    });
    await host.to(30);
    host.lives.delete(1);
    const target = host.rig.xen.text('/local/domain/1/memory/target');
    const held = host.mib(1);
    await host.to(120);
    const after = host.rig.xen.text('/local/domain/1/memory/target');
    assert.ok(Number(after) >= Math.min(Number(target), held * MIB) - 16);
    assert.equal(host.mib(1), held);
  });

  it('shows of a guest whose reports are not understood any more what is wrong with them', async (test) => {
    const host = await Host.open(test, (xen, lives) => {
      guest(xen, lives, 1, 450, 300);
      guest(xen, lives, 2, 450, 300);
    });
    await host.to(30);
    host.lives.delete(1);
    host.rig.xen.put(`/local/domain/1/${REPORT}`, 'garbage');
    await host.to(45);
    const shown = new Map(host.loop.readModel.snapshot().guests.map(({ name, why }) => [name, why]));
    assert.match(
      shown.get('guest-1') ?? '',
      /stale.*what it said last was not understood \(the report: "garbage" is not/,
    );
    assert.doesNotMatch(shown.get('guest-2') ?? '', /understood/);
    host.rig.xen.put(`/local/domain/1/${REPORT}`, reportText(1_000));
    await host.to(55);
    for (const { why } of host.loop.readModel.snapshot().guests) assert.doesNotMatch(why, /understood/);
  });

  it('says once that looks are too slow to promise memory on them, and what to do; and once that they are not', async (test) => {
    const host = await Host.open(test, (xen, lives) => {
      guest(xen, lives, 1, 100, 300);
    });
    const { xen, clock } = host.rig;
    xen.beforeLook = () => clock.sleepUntil(addMillis(clock.now(), millis(2_000)), NEVER);
    await host.to(60);
    assert.equal(host.mib(1), 100);
    assert.equal(host.heard('host-unseen').length, 1);
    assert.match(host.texts.join('\n'), /true 2000 ms ago.*No guest gets more memory.*Make the test faster/);
    // Given up after 5 s: the same trouble goes on.
    xen.beforeLook = (signal) => untilAborted(signal).then(() => Promise.reject(lookTooSlow(xen)));
    await host.to(120);
    assert.equal(host.heard('host-unseen').length, 1);
    xen.beforeLook = () => Promise.resolve();
    await host.to(200);
    assert.ok(host.mib(1) > 300, `${host.mib(1)} MiB`);
    assert.equal(host.heard('host-seen-again').length, 1);
    assert.equal(host.heard('host-unseen').length, 1);
  });

  it('gives every guest back what it may have, though the connection was lost just before the end', async (test) => {
    const host = await Host.open(test, (xen, lives) => {
      for (const domid of [1, 2]) guest(xen, lives, domid, 256, 40);
    });
    await host.to(60);
    await host.rig.cut();
    // It is connected to again 200 ms later.
    await host.rig.to(60_250);
    await host.end();
    const giving = host.loop.giveBack();
    await host.to(62);
    assert.equal(host.heard('action-failed').length > 0, true, 'the first request was not refused');
    for (const domid of [1, 2]) {
      const target = Number(host.rig.xen.text(`/local/domain/${domid}/memory/target`));
      assert.ok(target > 400 * MIB, `domain ${domid} is told ${target} KiB`);
    }
    await host.to(70);
    await giving;
  });

  // What the host had free when it was last looked at is old by then, but in one of these.
  for (const second of [60, 62, 64]) {
    it(`gives every guest back what it may have, on the way out, at whatever moment (${second} s)`, async (test) => {
      const host = await Host.open(test, (xen, lives) => {
        guest(xen, lives, 1, 256, 40);
        guest(xen, lives, 2, 256, 40);
      });
      await host.to(second);
      await host.end();
      const giving = host.loop.giveBack();
      await host.to(second + 5);
      const short = await giving;
      for (const domid of [1, 2]) {
        const target = Number(host.rig.xen.text(`/local/domain/${domid}/memory/target`));
        assert.ok(target > 400 * MIB && target <= 512 * MIB, `domain ${domid} is told ${target} KiB`);
        assert.equal(
          short.some((id) => id.endsWith(`:${domid}`)),
          target < 512 * MIB,
        );
      }
      await host.rig.host.close();
      assert.equal((await host.rig.host.watchGuests(NEVER)[Symbol.asyncIterator]().next()).done, true);
    });
  }
});

describe('a guest that goes down while it is small', () => {
  const WHOLE = 512;

  /** Another domain comes with what the one before was left, as `xl` makes it of a machine that reboots. */
  async function reboot(host: Host, { machine, after = 2 }: { machine: string | null; after?: number }): Promise<void> {
    await host.to(60);
    const left = host.mib(1);
    assert.ok(left < 250, `${left} MiB`);
    host.rig.xen.destroy(1);
    host.lives.delete(1);
    await host.to(60 + after);
    const nodes = machine === null ? {} : { vm: machine };
    host.rig.xen.create(2, { name: 'guest-1', held: left * MIB, staticMax: WHOLE * MIB, nodes });
    // Its boot loader and its kernel's beginning have no balloon driver.
    const life: Life = { committed: 40 * MIB, behaviour: 'ignores', isSilent: true };
    host.lives.set(2, life);
    await host.to(75 + after);
    life.behaviour = 'obeys';
    await host.to(110 + after);
  }

  const openOne = (test: TestContext): Promise<Host> =>
    Host.open(test, (xen, lives) => {
      xen.create(1, { held: 450 * MIB, staticMax: WHOLE * MIB, nodes: { vm: '/vm/one' } });
      lives.set(1, { committed: 40 * MIB, behaviour: 'obeys' });
    });

  it('has everything again when it comes back, before anybody in it speaks', async (test) => {
    const host = await openOne(test);
    await reboot(host, { machine: '/vm/one' });
    assert.equal(host.mib(2), WHOLE);
    assert.match(host.rig.told.join(), /xen-host\/guest-1:2: the same machine left not long ago/);
    await host.to(400);
    assert.equal(host.mib(2), WHOLE, 'nobody knows what it needs');
  });

  it('is left what it has where it is another machine, or comes long after, or nobody says which it is', async (test) => {
    for (const next of [{ machine: '/vm/two' }, { machine: null }, { machine: '/vm/one', after: 100 }]) {
      const host = await openOne(test);
      await reboot(host, next);
      assert.ok(host.mib(2) < 250, JSON.stringify(next));
    }
  });

  it('is not taken for one whose reporter has ended, nor warned of', async (test) => {
    const host = await openOne(test);
    await host.to(60);
    host.lives.delete(1);
    // Its folder goes first, and xenstored says only then that the domain is gone. What is heard of first is not always the same.
    host.rig.xen.remove('/local/domain/1');
    host.rig.xen.store.fire('/local/domain/1/memory');
    await host.rig.to(60_150);
    host.rig.xen.store.fire(`/local/domain/1/${REPORT}`);
    await host.to(62);
    host.rig.xen.destroy(1);
    await host.to(70);
    assert.deepEqual(host.heard('under-pressure'), []);
    assert.deepEqual(host.heard('action-failed'), []);
    assert.equal(host.heard('guest-left').length, 1);
  });
});
