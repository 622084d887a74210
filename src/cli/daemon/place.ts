/** What a place to run in must give to the daemon, and how it starts. */
import type { Config } from '../../config/index.js';
import type { BootOption } from '../../control/boot-options.js';
import type { GuestPolicy } from '../../control/policy.js';
import type { Clock, Hypervisor } from '../../control/ports.js';
import { decideStartUp, type Situation, type StartUpRefusal } from '../../control/start-up.js';
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

/** What to say where guests are to be reached from outside of them. */
export const FROM_A_HOST = 'On a host of QEMU machines say --hypervisor libvirt or qmp, in dom0 xen-host';

/** What to do where the start-up rule says no. */
export const START_UP_ADVICE: Readonly<Record<StartUpRefusal, string>> = {
  'no-guest': `Run it inside a Xen guest. ${FROM_A_HOST}`,
  'initial-domain': 'To drive all guests from here, say --hypervisor xen-host; or run it inside them',
  'no-tier':
    'Set up swap stripes (see docs/reference/configuration.md, [overflow]), so that a mistake costs time and not a process',
  'not-wanted': 'Drop noselfballooning or noselfshrink, or give selfballooning',
};

/** The tunables to start with: what is configured, with the two switches as the start-up rule decides. */
export function startingTunables(configured: Tunables, situation: Situation): Tunables {
  const decided = decideStartUp(situation);
  if (decided.result !== 'ok') {
    throw new SelfballoonError({
      code: decided.result,
      message: `not started: ${decided.why}`,
      advice: START_UP_ADVICE[decided.cause],
    });
  }
  return {
    ...configured,
    selfballooning: Number(decided.selfballooning && configured.selfballooning === 1),
    frontswap_selfshrinking: Number(decided.selfshrinking && configured.frontswap_selfshrinking === 1),
  };
}
