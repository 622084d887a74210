/** Protects what XAPI promises a guest by `memory/dynamic-min`: on a real Xen the guest keeps that much, whatever the rule would leave it. */
import assert from 'node:assert/strict';
import type { Daemon } from '../../../lab/xen/daemon.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { waitFor } from '../../../lab/xen/shell.js';
import type { GuestDecision } from '../../../src/control/actions.js';
import type { StepRecord } from '../../../src/control/journal.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import { lastRun, ofGuest, readingsIn, targetsIn, valueOf, type Run } from './journal.js';
import { askToShrink } from './shrinking.js';
import type { XenWorld } from './world.js';

const KIB = 1024;
const MINIMUM_MIB = 256;
const MINIMUM_PAGES = MINIMUM_MIB * PAGES_PER_MIB;
/** `xl list` shows whole MiB, and a guest stops up to a few pages from its target. */
const NEAR_KIB = KIB;

export interface DynamicMinimumOptions {
  /** The daemon in dom0. */
  readonly host: () => Daemon;
  /** One of its guests, which needs less than the minimum, and what is more than that. */
  readonly guest: () => XenGuest;
  readonly givenMib: number;
}

export function dynamicMinimum(world: XenWorld, { host, guest, givenMib }: DynamicMinimumOptions): void {
  world.it('a guest is not made smaller than its memory/dynamic-min, and is when that is gone', async (t) => {
    const dom0 = world.dom0();
    const { name, domain } = guest();
    const node = `/local/domain/${domain}/memory/dynamic-min`;
    const id = `xen-host/${name}:${domain}`;
    const sinceThen = async (): Promise<Since> => sinceItHolds(lastRun(await host().journal()), id);
    await dom0.run(`xenstore-write ${node} ${MINIMUM_MIB * KIB}`);
    await askToShrink({ dom0, guest: guest(), givenMib });
    const what = 'a guest at its minimum, and two decisions to leave it there,';
    const { decisions, shrinks } = await waitFor({ what, limitMs: 120_000 }, async () => {
      const since = await sinceThen();
      const last = since.decisions.slice(-2);
      if (last.length < 2 || !last.every(isAtMinimum)) return null;
      return (await guest().heldKib()) <= MINIMUM_MIB * KIB + NEAR_KIB ? since : null;
    });
    // Where a look came too late, there was no rule.
    const goal = decisions.findLast(({ reason }) => reason.numbers['committed'] !== undefined)?.goal ?? NaN;
    t.diagnostic(`by its rule it would have ${Math.round(goal / PAGES_PER_MIB)} MiB`);
    assert.ok(goal < MINIMUM_PAGES, 'its rule would not take it so far anyway');
    assert.ok((await guest().heldKib()) >= MINIMUM_MIB * KIB - NEAR_KIB);
    assert.deepEqual(
      shrinks.filter((target) => target < MINIMUM_PAGES),
      [],
    );
    await dom0.run(`xenstore-rm ${node}`);
    await waitFor({ what: 'less than the minimum that was', limitMs: 60_000 }, async () =>
      (await guest().heldKib()) < MINIMUM_MIB * KIB - NEAR_KIB ? true : null,
    );
  });
}

const isAtMinimum = ({ target }: GuestDecision): boolean => target === MINIMUM_PAGES;

interface Since {
  readonly decisions: readonly GuestDecision[];
  /** Targets below what it held. One above that may be below the minimum: it was smaller, and its host has no more at that moment. */
  readonly shrinks: readonly number[];
}

/** What was decided and asked since the host knew of the minimum. */
function sinceItHolds(run: Run, id: string): Since {
  const from = run.steps.findIndex(({ events }) =>
    events.some(
      (event) => event.kind === 'guest-changed' && event.guest.id === id && event.guest.limits?.floor === MINIMUM_PAGES,
    ),
  );
  const { steps } = ofGuest(run, id);
  const since = from < 0 ? [] : steps.slice(from);
  return {
    decisions: since.flatMap(({ decisions }) => decisions),
    shrinks: since.flatMap((step, n) => targetsBelow(heldAfter(steps.slice(0, from + n + 1)), step)),
  };
}

const targetsBelow = (held: number, step: StepRecord): readonly number[] =>
  targetsIn(step)
    .map(({ target }) => target)
    .filter((target) => target < held);

/** What the guest held at the last look; nothing before the first. */
function heldAfter(steps: readonly StepRecord[]): number {
  const last = steps.flatMap(readingsIn).at(-1);
  return last === undefined ? 0 : valueOf(last.current);
}
