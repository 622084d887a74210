/** Drives a simulated host with the self-ballooning policy by hand: what the loop does, without the loop. */
import { createStep, initialState, type ControlState } from '../../src/control/step.js';
import type { Action, GuestDecision } from '../../src/control/actions.js';
import type { Event } from '../../src/control/events.js';
import type { GuestPolicy } from '../../src/control/policy.js';
import type { Hypervisor } from '../../src/control/ports.js';
import type { Reading } from '../../src/control/reading.js';
import { DEFAULT_TUNABLES, type Tunables } from '../../src/control/tunables.js';
import { createEmbeddedHypervisor } from '../../src/hypervisors/embedded/embedded.js';
import { selfPolicy, type HostMemory } from '../../src/policies/index.js';
import { VirtualClock, type SimHost } from '../../src/sim/index.js';
import { addMillis, secondsToMillis, type Millis } from '../../src/units.js';

const NEVER = new AbortController().signal;

export interface Rounds {
  readonly clock: VirtualClock;
  readonly hypervisor: Hypervisor;
  /** One round: read every guest, decide, carry out; then `seconds` pass. */
  round(seconds: number): Promise<void>;
  /** What a guest said in the last round. */
  last(name: string): Reading;
  /** What was decided about a guest last; null = nothing yet. */
  decision(name: string): GuestDecision | null;
}

/** Begins with the guests that `host` has now. */
export function startRounds(
  host: SimHost,
  tunables: Tunables = DEFAULT_TUNABLES,
  policy: GuestPolicy<HostMemory> = selfPolicy,
): Rounds {
  const clock = new VirtualClock(host.now);
  const hypervisor = createEmbeddedHypervisor({ host, clock });
  const step = createStep(policy);
  const settings = { tunables, isDryRun: false, hasFrontswap: true, limits: {} };
  let state: ControlState<HostMemory> = initialState(settings);
  const came: Event[] = [];
  for (const { name, kernel } of host.guests()) {
    const capabilities = { canSetTarget: true, hasOverflowTier: kernel.options.hasTmem, isSimulated: true };
    came.push({ kind: 'guest-came', guest: { id: `embedded/${name}`, name, capabilities } });
  }
  state = step(state, came, clock.now()).state;
  const readings = new Map<string, Reading>();
  const handle = (events: readonly Event[]): readonly Action[] => {
    const result = step(state, events, clock.now());
    state = result.state;
    return result.actions;
  };
  return {
    clock,
    hypervisor,
    async round(seconds) {
      const events: Event[] = [];
      await hypervisor.read(
        state.guests.list.map(({ guest }) => guest.id),
        (outcome) => {
          if (outcome.kind === 'host-reading') return;
          if (outcome.kind !== 'reading') throw outcome.error;
          readings.set(outcome.guest, outcome.reading);
          events.push(outcome);
        },
        NEVER,
      );
      handle(await carryOut(hypervisor, handle(events)));
      await clock.advanceTo(addMillis(clock.now(), secondsToMillis(seconds)));
      host.advanceTo(clock.now());
    },
    last(name) {
      const reading = readings.get(`embedded/${name}`);
      if (reading === undefined) throw new Error(`${name} was not read yet`);
      return reading;
    },
    decision: (name) => state.guests.get(`embedded/${name}`)?.decision ?? null,
  };
}

async function carryOut(hypervisor: Hypervisor, actions: readonly Action[]): Promise<readonly Event[]> {
  const answers: Event[] = [];
  for (const action of actions) {
    if (action.kind === 'set-target') {
      await hypervisor.setTarget(action.guest, action.target, NEVER);
      answers.push({ kind: 'action-done', guest: action.guest, id: action.id, note: null });
    } else if (action.kind === 'shrink-overflow') {
      const note = await hypervisor.shrinkOverflow(action.guest, action.to, NEVER);
      answers.push({ kind: 'action-done', guest: action.guest, id: action.id, note });
    }
  }
  return answers;
}

/** The value of a signal that must be known. */
export function valueOf<T>(signal: { readonly known: true; readonly value: T } | { readonly known: false }): T {
  if (!signal.known) throw new Error('the simulator reports every signal');
  return signal.value;
}

export const at = (seconds: number): Millis => secondsToMillis(seconds);
