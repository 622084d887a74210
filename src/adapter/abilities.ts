/** Whether a guest must be told of anew: something else can be done with it now. It does not know how that came about. */
import type { Capabilities } from '../control/ports.js';

/** Whether all that may change while a guest runs is as it was. */
export const canDoTheSame = (is: Capabilities, was: Capabilities): boolean =>
  is.canSetTarget === was.canSetTarget && is.growthBlock === was.growthBlock && is.keepsMemory === was.keepsMemory;
