/**
 * The form of the state in a start record. It checks what the step relies on, so that a record that was made by hand, or by
 * another version, is told by what it lacks. Whether the values are true is not its business.
 */
import * as v from 'valibot';
import type { Growth, Rest } from '../../control/growth.js';
import type { GuestState } from '../../control/guest-state.js';
import type { HostReading } from '../../control/pool.js';
import type { GrowthSignals, Reading, Signals } from '../../control/reading.js';
import type { ControlState } from '../../control/step.js';
import { AUTOMATIC, TUNABLES, type TunableRow } from '../../control/tunables.js';

type FieldsOf<T> = Readonly<Record<keyof T, v.GenericSchema>>;

const numberOrNull = v.nullable(v.number());
const anObject = v.looseObject({});

function signalOf(value: v.GenericSchema) {
  return v.variant('known', [
    v.looseObject({ known: v.literal(true), value, at: v.number() }),
    v.looseObject({ known: v.literal(false), reason: v.string(), detail: v.string() }),
  ]);
}

const count = signalOf(v.number());

const signals = {
  current: count,
  asked: count,
  maximum: count,
  total: count,
  free: count,
  available: count,
  cached: count,
  committed: count,
  reserve: count,
  maxPfn: count,
  used: count,
  swapTotal: count,
  swapUsed: count,
  overflowUsed: count,
  refaults: count,
  majorFaults: count,
  oomKills: count,
  pressure: signalOf(v.looseObject({ somePercent: v.number(), fullPercent: v.number() })),
} satisfies FieldsOf<Signals>;

export const readingSchema = v.looseObject({
  at: v.number(),
  refusal: v.optional(v.string()),
  growth: v.optional(
    v.looseObject({
      plugged: count,
      asked: count,
      pluggable: count,
      offline: v.optional(count),
    } satisfies FieldsOf<GrowthSignals>),
  ),
  ...signals,
} satisfies FieldsOf<Reading>);

export const guestDescriptionSchema = v.looseObject({
  id: v.string(),
  name: v.string(),
  capabilities: v.looseObject({
    canSetTarget: v.boolean(),
    hasOverflowTier: v.boolean(),
    isSimulated: v.boolean(),
    deflatesOnOom: v.optional(v.boolean()),
    growthBlock: v.optional(v.number()),
    keepsMemory: v.optional(v.boolean()),
  }),
  isSeenWithAll: v.optional(v.boolean()),
  isRebooted: v.optional(v.boolean()),
  floorFirm: v.optional(v.number()),
});

/** A host's own memory. */
export const hostReadingSchema = v.looseObject({
  pool: v.string(),
  at: v.number(),
  total: count,
  free: count,
  reserve: v.number(),
  ifSlow: v.optional(v.string()),
} satisfies FieldsOf<HostReading>);

/** Whatever the names are: a plain record's schema leaves out those that every object has. */
const byAnyName = (value: v.GenericSchema) =>
  v.pipe(
    v.custom<object>((input) => typeof input === 'object' && input !== null),
    v.transform((named) => Object.entries(named)),
    v.array(v.tuple([v.string(), value])),
    v.transform((entries) => Object.fromEntries(entries)),
  );

const limits = v.looseObject({ floor: v.number(), ceiling: numberOrNull });

const pursuit = v.looseObject({
  id: v.number(),
  target: v.number(),
  phase: v.string(),
  taken: v.optional(numberOrNull),
  standing: v.optional(v.number(), 0),
  progressAt: v.number(),
  patienceFrom: v.number(),
  distance: numberOrNull,
  isUncooperative: v.boolean(),
  isWithdrawn: v.boolean(),
  failure: v.nullable(v.string()),
});

const rest = v.nullable(
  v.looseObject({ times: v.number(), until: numberOrNull, had: v.optional(v.number()) } satisfies FieldsOf<Rest>),
);

const growth = v.looseObject({
  found: v.number(),
  plugged: v.number(),
  pursuit: v.nullable(pursuit),
  up: rest,
  down: rest,
} satisfies FieldsOf<Growth>);

const guest = v.looseObject({
  guest: guestDescriptionSchema,
  limits,
  isDriven: v.boolean(),
  reading: v.nullable(readingSchema),
  readFailure: v.nullable(v.string()),
  decision: v.nullable(anObject),
  memory: v.unknown(),
  policyDueAt: numberOrNull,
  lookDueAt: v.number(),
  lookingSince: numberOrNull,
  maximumSeen: numberOrNull,
  heldSeen: v.optional(numberOrNull, null),
  pursuit: v.nullable(pursuit),
  growth: v.optional(v.nullable(growth)),
  relief: v.nullable(v.looseObject({ until: v.number(), hold: v.number() })),
  awaitsReturn: v.optional(numberOrNull, null),
  shrinking: numberOrNull,
  isReleased: v.boolean(),
} satisfies FieldsOf<GuestState<unknown>>);

const tunableOf = ({ takesAutomatic }: TunableRow): v.GenericSchema =>
  takesAutomatic ? v.union([v.number(), v.literal(AUTOMATIC)]) : v.number();

const tunables = v.looseObject(Object.fromEntries(TUNABLES.map((row) => [row.name, tunableOf(row)])));

export const stateSchema = v.looseObject({
  tunables,
  isDryRun: v.boolean(),
  hasFrontswap: v.boolean(),
  limits: byAnyName(limits),
  guests: v.array(guest),
  pools: v.record(v.string(), hostReadingSchema),
  unseenHosts: v.optional(v.record(v.string(), v.looseObject({ since: v.number(), lastAt: v.number() }))),
  nextId: v.number(),
} satisfies FieldsOf<ControlState<unknown>>);
