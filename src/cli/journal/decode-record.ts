/**
 * Decodes one record of a journal. It checks the form and says in a sentence what is wrong with it; what the record says is
 * trusted, for a journal is the daemon's own.
 */
import * as v from 'valibot';
import { JOURNAL_FORMAT, type JournalRecord } from '../../control/journal.js';
import { findPolicy } from '../../policies/index.js';
import { guestDescriptionSchema, hostReadingSchema, readingSchema, stateSchema } from './state-schema.js';

/** `why` goes on after "line 7". */
export type DecodedRecord =
  { readonly kind: 'record'; readonly record: JournalRecord } | { readonly kind: 'bad'; readonly why: string };

const ofGuest = { guest: v.string() };

const event = v.variant('kind', [
  v.looseObject({ kind: v.literal('reading'), ...ofGuest, reading: readingSchema }),
  v.looseObject({
    kind: v.literal('guest-alarm'),
    ...ofGuest,
    alarm: v.looseObject({ cause: v.string(), at: v.number() }),
  }),
  v.looseObject({ kind: v.literal('guest-moved'), ...ofGuest }),
  v.looseObject({ kind: v.literal('reading-failed'), ...ofGuest, code: v.string(), message: v.string() }),
  v.looseObject({ kind: v.literal('action-done'), ...ofGuest, id: v.number(), note: v.nullable(v.string()) }),
  v.looseObject({
    kind: v.literal('action-failed'),
    ...ofGuest,
    id: v.number(),
    code: v.string(),
    message: v.string(),
  }),
  v.looseObject({ kind: v.literal('guest-came'), guest: guestDescriptionSchema }),
  v.looseObject({ kind: v.literal('guest-changed'), guest: guestDescriptionSchema }),
  v.looseObject({ kind: v.literal('host-reading'), host: hostReadingSchema }),
  v.looseObject({ kind: v.literal('guest-left'), ...ofGuest }),
  v.looseObject({
    kind: v.literal('tunable-write'),
    id: v.number(),
    name: v.string(),
    text: v.string(),
    mayChange: v.boolean(),
  }),
  v.looseObject({ kind: v.literal('release'), id: v.number() }),
  v.looseObject({ kind: v.literal('time-passed') }),
]);

const step = v.looseObject({
  kind: v.literal('step'),
  at: v.number(),
  events: v.array(event),
  actions: v.array(v.looseObject({ kind: v.string() })),
  decisions: v.array(v.looseObject({ guest: v.string() })),
  wakeAt: v.nullable(v.number()),
});

const start = v.looseObject({
  kind: v.literal('start'),
  format: v.number(),
  policy: v.string(),
  at: v.number(),
  run: v.optional(v.string()),
  state: stateSchema,
});

const bad = (why: string): DecodedRecord => ({ kind: 'bad', why });

/** Decodes what `JSON.parse` made of a line. Never throws. */
export function decodeRecord(line: unknown): DecodedRecord {
  const kind = fieldOf(line, 'kind');
  if (kind === 'step') return decodeAs(step, line);
  if (kind !== 'start') return bad('is neither a start nor a step');
  // A record of another format, or for another rule, may have another form: this comes first.
  const [format, policy] = [fieldOf(line, 'format'), fieldOf(line, 'policy')];
  if (typeof format === 'number' && format !== JOURNAL_FORMAT) {
    return bad(`has format ${format}, and this program reads ${JOURNAL_FORMAT}`);
  }
  if (typeof policy === 'string' && findPolicy(policy) === null) return bad(`names an unknown policy, ${policy}`);
  return decodeAs(start, line);
}

const fieldOf = (line: unknown, name: string): unknown =>
  typeof line === 'object' && line !== null ? new Map<string, unknown>(Object.entries(line)).get(name) : undefined;

/** The record as it stands in the journal, not the schema's copy of it. */
function decodeAs(schema: typeof start | typeof step, line: unknown): DecodedRecord {
  const { success, issues } = v.safeParse(schema, line, { abortEarly: true });
  if (success) return { kind: 'record', record: line as JournalRecord };
  const [{ received, expected }] = issues;
  const path = v.getDotPath(issues[0]) ?? 'it';
  const what = received === 'undefined' ? 'is missing' : `should be ${expected ?? 'something else'}, not ${received}`;
  return bad(`is not a whole ${schema.entries.kind.literal} record: ${path} ${what}`);
}
