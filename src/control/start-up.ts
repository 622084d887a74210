/**
 * The start-up rule: may self-ballooning run here at all, and which of the two controllers. It knows facts about the machine
 * and nothing of where they come from.
 *
 * Source: specification 1, "Start-up".
 */
import { wantedBy, type BootOption } from './boot-options.js';

export interface Situation {
  readonly xenDomain: boolean;
  readonly initialDomain: boolean;
  /** The kernel has frontswap, or a tier that stands in for it is configured. */
  readonly frontswapConfigured: boolean;
  /** The overflow tier is really there. */
  readonly tierPresent: boolean;
  readonly bootOptions: readonly BootOption[];
}

export type StartUp =
  | { readonly result: 'ok'; readonly selfballooning: boolean; readonly selfshrinking: boolean }
  | { readonly result: 'ENODEV'; readonly why: string; readonly advice: string };

const refused = (why: string, advice: string): StartUp => ({ result: 'ENODEV', why, advice });

/** Decides whether to start, and with what. */
export function decideStartUp(situation: Situation): StartUp {
  if (!situation.xenDomain) {
    return refused(
      'this is not a Xen guest',
      'Run it inside a Xen guest, or name another hypervisor with --hypervisor',
    );
  }
  if (situation.initialDomain) {
    return refused(
      'this is the initial domain (dom0), and self-ballooning is disabled there',
      'Run it inside the guests; or, to drive all of them from here, say --hypervisor xen-host',
    );
  }
  const wanted = wantedBy(situation.bootOptions, situation.frontswapConfigured);
  const selfballooning = situation.tierPresent && wanted.selfballooning;
  const selfshrinking = situation.tierPresent && situation.frontswapConfigured && wanted.selfshrinking;
  if (selfballooning || selfshrinking) return { result: 'ok', selfballooning, selfshrinking };
  if (!situation.tierPresent) {
    return refused(
      'there is no overflow tier to catch what a smaller guest must swap',
      'Set up swap stripes (see docs/reference/configuration.md, [overflow]), so that a mistake costs time and not a process',
    );
  }
  return refused(
    'neither self-ballooning nor self-shrinking is wanted',
    'Drop noselfballooning or noselfshrink, or give selfballooning',
  );
}
