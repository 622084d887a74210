/** What a place to run in must give to the daemon, and how it starts. */
import type { Config } from '../../config/index.js';
import type { BootOption } from '../../control/boot-options.js';
import type { GuestPolicy } from '../../control/policy.js';
import type { Clock, Hypervisor } from '../../control/ports.js';
import { decideStartUp, type Situation } from '../../control/start-up.js';
import type { Tunables } from '../../control/tunables.js';
import { SelfballoonError } from '../../errors.js';
import type { SelfshrinkMemory } from '../../policies/index.js';

/** Everything that depends on where we are. */
export interface Place {
  readonly clock: Clock;
  readonly hypervisors: readonly Hypervisor[];
  /** An overflow tier stands in for frontswap. */
  readonly hasFrontswap: boolean;
  readonly tunables: Tunables;
  /** The rule for every guest here. Default: specification 1 inside a guest. */
  readonly policy?: GuestPolicy<SelfshrinkMemory>;
  readonly isSimulated: boolean;
  /** One guest is driven, from inside it: its memory counts more than our speed. Default false. */
  readonly isSmall?: boolean;
  /** Real guests are driven from outside, however many: speed counts, and so does memory. Default false. */
  readonly isHost?: boolean;
  /** Keeps simulated time going until `signal` is aborted; null where time goes by itself. */
  readonly keepTime: ((signal: AbortSignal) => Promise<void>) | null;
  close(): Promise<void>;
}

export interface PlaceOptions {
  readonly config: Config;
  readonly bootOptions: readonly BootOption[];
  readonly warn: (message: string) => void;
}

/** The tunables to start with: what is configured, with the two switches as the start-up rule decides. */
export function startingTunables(configured: Tunables, situation: Situation): Tunables {
  const decided = decideStartUp(situation);
  if (decided.result !== 'ok') {
    throw new SelfballoonError({
      code: decided.result,
      message: `not started: ${decided.why}`,
      advice: decided.advice,
    });
  }
  return {
    ...configured,
    selfballooning: Number(decided.selfballooning && configured.selfballooning === 1),
    frontswap_selfshrinking: Number(decided.selfshrinking && configured.frontswap_selfshrinking === 1),
  };
}
