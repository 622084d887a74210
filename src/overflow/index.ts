/** The overflow tiers' public face. */
export { kernelName } from './look.js';
export { realSwapCalls, type SwapCalls } from './swap-calls.js';
export { openSwapStripes, type StripeReport, type SwapStripes, type SwapStripesOptions } from './swap-stripes.js';
