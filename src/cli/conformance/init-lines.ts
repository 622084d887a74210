/** Replays lines of recorded start-ups through the start-up rule. */
import * as v from 'valibot';
import { pickBootOptions } from '../../control/boot-options.js';
import { decideStartUp } from '../../control/start-up.js';
import { DEFAULT_TUNABLES } from '../../control/tunables.js';
import { compareFields, type LineReplay } from './comparison.js';

const initLine = v.object({
  frontswapConfigured: v.boolean(),
  bootOptions: v.array(v.string()),
  xenDomain: v.boolean(),
  initialDomain: v.boolean(),
  tmemEnabled: v.boolean(),
  result: v.string(),
  selfballooning: v.number(),
  frontswapSelfshrinking: v.optional(v.number()),
  scheduledSeconds: v.number(),
});

export const isInitLine = (line: object): boolean => 'bootOptions' in line && 'tmemEnabled' in line;

export function createInitReplay(): LineReplay {
  return (raw) => {
    const line = v.parse(initLine, raw);
    const started = decideStartUp({
      xenDomain: line.xenDomain,
      initialDomain: line.initialDomain,
      frontswapConfigured: line.frontswapConfigured,
      tierPresent: line.tmemEnabled,
      bootOptions: pickBootOptions(line.bootOptions),
    });
    const isStarted = started.result === 'ok';
    const { result, selfballooning, frontswapSelfshrinking, scheduledSeconds } = line;
    return compareFields(
      { result, selfballooning, frontswapSelfshrinking, scheduledSeconds },
      {
        result: started.result,
        selfballooning: Number(isStarted && started.selfballooning),
        frontswapSelfshrinking:
          frontswapSelfshrinking === undefined ? undefined : Number(isStarted && started.selfshrinking),
        scheduledSeconds: isStarted ? DEFAULT_TUNABLES.selfballoon_interval : -1,
      },
    );
  };
}
