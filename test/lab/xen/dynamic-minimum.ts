/** Protects what XAPI promises a guest by `memory/dynamic-min`: on a real Xen the guest keeps that much, whatever the rule would leave it. */
import assert from 'node:assert/strict';
import type { Daemon } from '../../../lab/xen/daemon.js';
import type { XenGuest } from '../../../lab/xen/guest.js';
import { waitFor } from '../../../lab/xen/shell.js';
import type { GuestDecision } from '../../../src/control/actions.js';
import { PAGES_PER_MIB } from '../../../src/units.js';
import { lastRun, ofGuest, targetsIn, type Run } from './journal.js';
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
    const { decisions, targets } = await waitFor({ what, limitMs: 120_000 }, async () => {
      const since = await sinceThen();
      const last = since.decisions.slice(-2);
      if (last.length < 2 || !last.every(isAtMinimum)) return null;
      return (await guest().heldKib()) <= MINIMUM_MIB * KIB + NEAR_KIB ? since : null;
    });
    const goal = decisions.at(-1)?.goal ?? NaN;
    t.diagnostic(`by its rule it would have ${Math.round(goal / PAGES_PER_MIB)} MiB`);
    assert.ok(goal < MINIMUM_PAGES, 'its rule would not take it so far anyway');
    assert.ok((await guest().heldKib()) >= MINIMUM_MIB * KIB - NEAR_KIB);
    assert.deepEqual(
      targets.filter((target) => target < MINIMUM_PAGES),
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
  readonly targets: readonly number[];
}

/** What was decided and asked since the host knew of the minimum. */
function sinceItHolds(run: Run, id: string): Since {
  const from = run.steps.findIndex(({ events }) =>
    events.some(
      (event) => event.kind === 'guest-changed' && event.guest.id === id && event.guest.limits?.floor === MINIMUM_PAGES,
    ),
  );
  const { steps: since } = ofGuest({ ...run, steps: from < 0 ? [] : run.steps.slice(from) }, id);
  return {
    decisions: since.flatMap(({ decisions }) => decisions),
    targets: since.flatMap(targetsIn).map(({ target }) => target),
  };
}
