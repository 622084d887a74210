/**
 * Decodes a line of the `balloon-driver` kind. It checks the form and says what is wrong with it; whether the line is true is
 * the replayer's business.
 */
import * as v from 'valibot';
import { SelfballoonError } from '../../errors.js';
import { pages } from '../../units.js';

const integer = v.pipe(v.number(), v.safeInteger());
const whole = v.pipe(integer, v.minValue(0));
const pageCount = v.pipe(whole, v.transform(pages));

const stats = v.strictObject({
  current_pages: whole,
  target_pages: whole,
  target_unpopulated: whole,
  balloon_low: whole,
  balloon_high: whole,
  total_pages: whole,
  schedule_delay: whole,
  max_schedule_delay: whole,
  retry_count: whole,
  max_retry_count: whole,
});

/** The state that a line asserts after its operation. */
const after = {
  scenario: whole,
  n: whole,
  result: integer,
  scheduledSeconds: integer,
  /** The frames of a successful alloc. */
  lent: v.optional(v.array(whole)),
  stats,
  /** The first frames of the list, at most four. */
  head: v.array(whole),
  length: whole,
  fnv1a32: whole,
  hypervisorFreePages: whole,
  pendingHotplugPages: whole,
};

const initArguments = v.object({
  bootPages: pageCount,
  extraPages: pageCount,
  highStart: whole,
  hypervisorFreePages: pageCount,
  pvDomain: v.boolean(),
  maxRetryCount: whole,
  pagesPerSection: v.pipe(pageCount, v.minValue(pages(1))),
});

const hotplugArguments = v.object({ resourceFails: v.boolean(), addFails: v.boolean(), hotplugUnpopulated: whole });

const driverLine = v.variant('op', [
  v.object({ ...after, op: v.literal('init'), args: initArguments }),
  v.object({ ...after, op: v.literal('process'), args: v.object({}) }),
  v.object({ ...after, op: v.literal('online_pending'), args: v.object({}) }),
  v.object({ ...after, op: v.literal('set_new_target'), args: v.object({ targetPages: pageCount }) }),
  v.object({ ...after, op: v.literal('alloc_ballooned'), args: v.object({ pages: pageCount }) }),
  v.object({ ...after, op: v.literal('free_ballooned'), args: v.object({ loan: whole }) }),
  v.object({ ...after, op: v.literal('world_hypervisor'), args: v.object({ hypervisorFreePages: pageCount }) }),
  v.object({ ...after, op: v.literal('world_allocator'), args: v.object({ allocatablePages: pageCount }) }),
  v.object({ ...after, op: v.literal('world_hotplug'), args: hotplugArguments }),
]);

/** One operation, and the state that the driver and its world must be in after it. */
export type DriverLine = v.InferOutput<typeof driverLine>;
export type DriverStats = DriverLine['stats'];
export type InitArguments = v.InferOutput<typeof initArguments>;
export type HotplugArguments = v.InferOutput<typeof hotplugArguments>;

/** Throws `SelfballoonError` with code `EINVAL`, naming what is wrong, when `line` is no such line. */
export function decodeDriverLine(line: unknown): DriverLine {
  const decoded = v.safeParse(driverLine, line);
  if (decoded.success) return decoded.output;
  throw badDriverLine(
    decoded.issues.map((issue) => `${v.getDotPath(issue) ?? 'the line'}: ${issue.message}`).join('; '),
  );
}

export const badDriverLine = (what: string): SelfballoonError =>
  new SelfballoonError({ code: 'EINVAL', message: `this is no line of balloon-driver vectors: ${what}` });
