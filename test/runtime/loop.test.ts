/** Protects the loop: that one guest's silence, refusal or lie is its own, that nothing hangs, and that the end gives back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Tell } from '../../src/control/actions.js';
import { createReplay, type Difference, type JournalRecord } from '../../src/control/journal.js';
import { createStep, initialState } from '../../src/control/step.js';
import { DEFAULT_TUNABLES } from '../../src/control/tunables.js';
import { selfPolicy, type SelfshrinkMemory } from '../../src/policies/index.js';
import type { CommandAnswer } from '../../src/runtime/commands.js';
import { INBOX_MAX } from '../../src/runtime/inbox.js';
import { Loop } from '../../src/runtime/loop.js';
import { VirtualClock } from '../../src/sim/index.js';
import { addMillis, millis } from '../../src/units.js';
import { FakeHypervisor, fakeGuest, type FakeGuest } from '../support/fake-hypervisor.js';

interface Rig {
  readonly clock: VirtualClock;
  readonly hypervisor: FakeHypervisor;
  readonly loop: Loop<SelfshrinkMemory>;
  readonly told: Tell[];
  readonly records: JournalRecord[];
}

/** Runs the real loop over a fake hypervisor on virtual time, and ends it when the test is done. */
async function withRig(
  guests: Record<string, FakeGuest>,
  use: (rig: Rig) => Promise<void>,
  canSetTarget = true,
): Promise<Rig> {
  const clock = new VirtualClock();
  const hypervisor = new FakeHypervisor(new Map(Object.entries(guests)), () => clock.now(), canSetTarget);
  const told: Tell[] = [];
  const records: JournalRecord[] = [];
  const loop = new Loop({
    step: createStep(selfPolicy),
    policyName: selfPolicy.name,
    state: initialState<SelfshrinkMemory>({
      tunables: DEFAULT_TUNABLES,
      isDryRun: false,
      hasFrontswap: true,
      limits: {},
    }),
    clock,
    hypervisors: [hypervisor],
    journal: {
      record: (step, start) => {
        if (records.length === 0) records.push(start());
        records.push(step);
      },
      close: () => undefined,
    },
    tell: (tell) => told.push(tell),
  });
  const ending = new AbortController();
  const running = loop.run(ending.signal);
  const rig = { clock, hypervisor, loop, told, records };
  await use(rig);
  ending.abort();
  await running;
  return rig;
}

const targetsOf = (hypervisor: FakeHypervisor, guest: string): readonly number[] =>
  hypervisor.targets.filter((asked) => asked.guest === guest).map(({ target }) => target);

describe('the loop', () => {
  it('walks an idle guest down, look by look, and shows it', async () => {
    await withRig({ idle: fakeGuest() }, async ({ clock, hypervisor, loop }) => {
      await clock.advanceTo(millis(60_000));
      const targets = targetsOf(hypervisor, 'idle');
      assert.ok(targets.length >= 11);
      assert.ok(targets.every((target, n) => n === 0 || target <= (targets[n - 1] ?? 0)));
      const [row] = loop.readModel.snapshot().guests;
      assert.equal(row?.phase, 'shrinking');
      assert.match(row.why, /^needs \d+ MiB \(.*\): gives up a part of the rest$/);
    });
  });

  for (const behaviour of ['silent', 'refuses', 'unreadable', 'ignores'] as const) {
    it(`goes on with the others when one guest ${behaviour}`, async () => {
      const guests = { bad: fakeGuest({ behaviour }), good: fakeGuest() };
      await withRig(guests, async ({ clock, hypervisor, loop }) => {
        await clock.advanceTo(millis(120_000));
        assert.ok(targetsOf(hypervisor, 'good').length >= 20);
        const rows = loop.readModel.snapshot().guests;
        const phases = { silent: 'unreadable', refuses: 'failed', unreadable: 'unreadable', ignores: 'uncooperative' };
        assert.equal(rows.find(({ id }) => id === 'bad')?.phase, phases[behaviour]);
      });
    });
  }

  it('says once that a guest is stuck, and once that it obeys again', async () => {
    const guest = fakeGuest({ behaviour: 'ignores' });
    await withRig({ guest }, async ({ clock, told }) => {
      await clock.advanceTo(millis(120_000));
      guest.behaviour = 'obeys';
      await clock.advanceTo(millis(180_000));
      const codes = told.map(({ code }) => code).filter((code) => code !== 'guest-came');
      assert.deepEqual(codes, ['stuck', 'uncooperative', 'obeys-again']);
    });
  });

  it('tells a guest that is not given memory from one that does not give any', async () => {
    const guest = fakeGuest({ behaviour: 'ignores', committed: 300_000, maximum: 400_000 });
    await withRig({ guest }, async ({ clock, told }) => {
      await clock.advanceTo(millis(30_000));
      assert.match(
        told.find(({ code }) => code === 'stuck')?.text ?? '',
        /does not get the memory it asks for .* its host may have none/,
      );
    });
  });

  it('drops a guest that leaves in the middle', async () => {
    await withRig({ a: fakeGuest(), b: fakeGuest() }, async ({ clock, hypervisor, loop }) => {
      await clock.advanceTo(millis(20_000));
      hypervisor.remove('a');
      await clock.advanceTo(millis(40_000));
      assert.deepEqual(
        loop.readModel.snapshot().guests.map(({ id }) => id),
        ['b'],
      );
    });
  });

  it('answers commands, refused ones too', async () => {
    await withRig({ a: fakeGuest() }, async ({ clock, loop }) => {
      const good = loop.writeTunable({ name: 'selfballoon_interval', text: '9', mayChange: true });
      const bad = loop.writeTunable({ name: 'selfballoon_interval', text: 'x', mayChange: true });
      await clock.advanceTo(millis(1));
      assert.deepEqual(await good, { result: 'ok' });
      assert.equal((await bad).result, 'EINVAL');
      assert.equal(loop.readModel.snapshot().tunables.selfballoon_interval, 9);
    });
  });

  it('answers a command that comes while too much waits: it is the loop that is not there for it', async () => {
    await withRig({ a: fakeGuest() }, async ({ clock, loop }) => {
      const waiting = Array.from({ length: INBOX_MAX }, () => loop.release());
      const late = loop.release();
      assert.deepEqual(await late, {
        result: 'EUNAVAILABLE',
        why: 'the daemon has too much to do; ask again later',
      });
      await clock.advanceTo(millis(1));
      assert.deepEqual(await waiting[0], { result: 'ok' });
    });
  });

  it('asks nothing of a guest that is only observed', async () => {
    await withRig(
      { a: fakeGuest() },
      async ({ clock, hypervisor, loop }) => {
        await clock.advanceTo(millis(60_000));
        assert.deepEqual(hypervisor.targets, []);
        assert.equal(loop.readModel.snapshot().guests[0]?.phase, 'observed');
        assert.notEqual(loop.readModel.snapshot().guests[0]?.targetPages, null);
      },
      false,
    );
  });
});

describe('the end', () => {
  it('is told to whoever asks for something then, before and after it', async () => {
    const shuttingDown = { result: 'EUNAVAILABLE', why: 'the daemon is shutting down' };
    const answers: CommandAnswer[] = [];
    const { loop } = await withRig({ a: fakeGuest() }, async (rig) => {
      await rig.clock.advanceTo(millis(1));
      void rig.loop.release().then((answer) => answers.push(answer));
    });
    assert.deepEqual(answers, [shuttingDown]);
    assert.deepEqual(await loop.release(), shuttingDown);
    const write = { name: 'selfballoon_interval', text: '9', mayChange: true };
    assert.deepEqual(await loop.writeTunable(write), shuttingDown);
  });

  it('gives everything back, and names the guests that did not take it', async () => {
    const guests = { good: fakeGuest(), bad: fakeGuest({ behaviour: 'refuses' }) };
    const { loop } = await withRig(guests, async ({ clock }) => {
      await clock.advanceTo(millis(60_000));
      assert.ok(guests.good.total < 131_072);
    });
    assert.deepEqual(await loop.giveBack(), ['bad']);
    assert.equal(guests.good.total, 131_072);
  });

  it('waits for the answer of a guest that was stuck, and names it when that is a refusal', async () => {
    const guests = { stubborn: fakeGuest({ behaviour: 'ignores' }) };
    const { loop } = await withRig(guests, async ({ clock }) => {
      await clock.advanceTo(millis(30_000));
    });
    guests.stubborn.behaviour = 'refuses';
    assert.deepEqual(await loop.giveBack(), ['stubborn']);
  });

  it('does not wait for ever for a guest that is silent', async () => {
    const guests = { quiet: fakeGuest() };
    const { loop, clock } = await withRig(guests, async (rig) => {
      await rig.clock.advanceTo(millis(30_000));
    });
    guests.quiet.behaviour = 'silent';
    const leaving = loop.giveBack();
    await clock.advanceTo(millis(45_000));
    assert.deepEqual(await leaving, ['quiet']);
  });
});

describe('a guest that is to shrink when the end comes, and has no answer yet', () => {
  it('is named though it still has everything: nobody knows what comes to it later', async () => {
    const guests = { unheard: fakeGuest({ behaviour: 'unheard' }) };
    const { loop, clock, hypervisor } = await withRig(guests, async (rig) => {
      while (rig.hypervisor.targets.length === 0) await rig.clock.advanceTo(addMillis(rig.clock.now(), millis(500)));
      // It is looked at again a second later.
      await rig.clock.advanceTo(addMillis(rig.clock.now(), millis(4_000)));
    });
    const leaving = loop.giveBack();
    await clock.advanceTo(addMillis(clock.now(), millis(15_000)));
    assert.deepEqual(await leaving, ['unheard']);
    assert.deepEqual(targetsOf(hypervisor, 'unheard').length, 2);
  });
});

describe('the journal', () => {
  it('is written when guests have been told: one that is short of memory does not wait for a disk', async () => {
    await withRig({ idle: fakeGuest() }, async ({ clock, hypervisor, records }) => {
      const toldBefore: boolean[] = [];
      const asked: number[] = [];
      const setTarget = hypervisor.setTarget.bind(hypervisor);
      hypervisor.setTarget = (guest, target, signal) => {
        asked.push(target);
        return setTarget(guest, target, signal);
      };
      const push = records.push.bind(records);
      records.push = (...steps) => {
        const targets = steps
          .flatMap((step) => ('actions' in step ? step.actions : []))
          .flatMap((action) => (action.kind === 'set-target' ? [action.target] : []));
        for (const target of targets) toldBefore.push(asked.at(-1) === target);
        return push(...steps);
      };
      await clock.advanceTo(millis(20_000));
      assert.ok(toldBefore.length > 2 && toldBefore.every((isTold) => isTold), String(toldBefore));
    });
  });

  it('replays to identical decisions, and finds the first difference in a changed one', async () => {
    const guests = {
      idle: fakeGuest(),
      busy: fakeGuest({ committed: 400_000 }),
      bad: fakeGuest({ behaviour: 'refuses' }),
    };
    await withRig(guests, async ({ clock, records }) => {
      await clock.advanceTo(millis(90_000));
      const stored = JSON.parse(JSON.stringify(records)) as JournalRecord[];
      assert.deepEqual(differencesIn(stored), []);
      const [first] = differencesIn(stored.map(halveCommitted));
      assert.ok(first !== undefined);
      assert.notDeepEqual(first.recorded, first.decided);
    });
  });
});

function differencesIn(records: readonly JournalRecord[]): readonly Difference[] {
  const replay = createReplay(() => createStep(selfPolicy));
  const found = records.flatMap((record) => replay.take(record) ?? []);
  assert.ok(replay.counts.decisions > 10 || found.length > 0);
  return found;
}

function halveCommitted(record: JournalRecord): JournalRecord {
  const text = JSON.stringify(record).replaceAll(
    '"committed":{"known":true,"value":30000',
    '"committed":{"known":true,"value":15000',
  );
  return JSON.parse(text) as JournalRecord;
}
