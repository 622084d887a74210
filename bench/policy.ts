/** How long one self-ballooning step takes, by itself and as the daemon calls it. */
import { measure } from 'mitata';
import { DEFAULT_TUNABLES } from '../src/control/tunables.js';
import { NOTHING_KNOWN, type Reading } from '../src/control/reading.js';
import { knownAt } from '../src/control/signal.js';
import { selfballoonStep, selfPolicy } from '../src/policies/index.js';
import { millis, pages } from '../src/units.js';
import type { BenchRow } from './row.js';

const GUESTS = 256;

/** Different inputs at every call, so that nothing can be worked out once and for all. */
const inputs = Array.from({ length: GUESTS }, (_, n) => ({
  totalramPages: pages(131_072 + n * 7),
  totalreservePages: pages(2_000 + n),
  maxPfn: pages(262_144 + n),
  committedPages: pages(40_000 + n * 311),
  balloonCurrentPages: pages(134_072 + n * 7),
  frontswapPages: pages(n),
  reservedPages: pages(13_107),
}));

const at = millis(0);
const views = inputs.map((input) => ({
  reading: {
    ...NOTHING_KNOWN,
    at,
    total: knownAt(input.totalramPages, at),
    reserve: knownAt(input.totalreservePages, at),
    maxPfn: knownAt(input.maxPfn, at),
    committed: knownAt(input.committedPages, at),
    current: knownAt(input.balloonCurrentPages, at),
    overflowUsed: knownAt(input.frontswapPages, at),
  } satisfies Reading,
  tunables: DEFAULT_TUNABLES,
  hasOverflowTier: true,
}));

export async function benchPolicy(): Promise<readonly BenchRow[]> {
  let sink = 0;
  let turn = 0;
  const step = await measure(() => {
    turn = (turn + 1) % GUESTS;
    const input = inputs[turn];
    if (input === undefined) return;
    const result = selfballoonStep(input, DEFAULT_TUNABLES);
    if (result.kind === 'target') sink += result.balloonTarget;
  });
  const decide = await measure(() => {
    turn = (turn + 1) % GUESTS;
    const view = views[turn];
    if (view === undefined) return;
    const { wish } = selfPolicy.decide(view, selfPolicy.initialMemory, at);
    if (wish.kind === 'resize') sink += wish.target;
  });
  if (sink === 0) throw new Error('the benchmark measured nothing');
  return [
    { name: 'one selfballoon step', unit: 'ns', value: step.p50, goal: 100 },
    { name: 'one decision of the policy, with its reason', unit: 'ns', value: decide.p50, goal: null },
  ];
}
