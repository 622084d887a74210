/**
 * The start-up rule: may self-ballooning run here at all, and which of the two controllers. It knows facts about the machine
 * and nothing of where they come from, nor of what else could be driven there instead.
 *
 * Source: specification 1, "Start-up".
 */
import { wantedBy, type BootOption } from './boot-options.js';

/** What the start-up rule goes by. */
export interface Situation {
  readonly xenDomain: boolean;
  readonly initialDomain: boolean;
  /** The kernel has frontswap, or a tier that stands in for it is configured. */
  readonly frontswapConfigured: boolean;
  /** The overflow tier is really there. */
  readonly tierPresent: boolean;
  readonly bootOptions: readonly BootOption[];
}

/** Which of the controllers start, or why none may. */
export type StartUp =
  | { readonly result: 'ok'; readonly selfballooning: boolean; readonly selfshrinking: boolean }
  | { readonly result: 'ENODEV'; readonly cause: StartUpRefusal; readonly why: string };

/** Why it must not run, for whoever knows what can be done about it; `why` is the same as a sentence. */
export type StartUpRefusal = 'no-guest' | 'initial-domain' | 'no-tier' | 'not-wanted';

const refused = (cause: StartUpRefusal, why: string): StartUp => ({ result: 'ENODEV', cause, why });

/** Decides whether to start, and with what. */
export function decideStartUp(situation: Situation): StartUp {
  if (!situation.xenDomain) {
    return refused('no-guest', 'this is not a Xen guest');
  }
  if (situation.initialDomain) {
    return refused('initial-domain', 'this is the initial domain (dom0), and self-ballooning is disabled there');
  }
  const wanted = wantedBy(situation.bootOptions, situation.frontswapConfigured);
  const selfballooning = situation.tierPresent && wanted.selfballooning;
  const selfshrinking = situation.tierPresent && situation.frontswapConfigured && wanted.selfshrinking;
  if (selfballooning || selfshrinking) return { result: 'ok', selfballooning, selfshrinking };
  if (!situation.tierPresent) {
    return refused('no-tier', 'there is no overflow tier to catch what a smaller guest must swap');
  }
  return refused('not-wanted', 'neither self-ballooning nor self-shrinking is wanted');
}
