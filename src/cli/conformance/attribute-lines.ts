/**
 * Replays lines of recorded tunable writes through the tunables table. The lines do not say how the two switches stood at the
 * start, so every start that agrees with all lines so far is kept in mind.
 */
import * as v from 'valibot';
import {
  DEFAULT_TUNABLES,
  findTunable,
  formatTunable,
  TUNABLE_MAX,
  writeTunable,
  type TunableName,
  type Tunables,
} from '../../control/tunables.js';
import { scheduledBy } from '../../policies/index.js';
import { compareFields, type Comparison, type LineReplay } from './comparison.js';

const attributeLine = v.object({
  attribute: v.string(),
  mode: v.string(),
  write: v.string(),
  capSysAdmin: v.boolean(),
  result: v.string(),
  reads: v.string(),
  scheduledSeconds: v.number(),
});
type AttributeLine = v.InferOutput<typeof attributeLine>;

const MODE = '0644';

export const isAttributeLine = (line: object): boolean => 'attribute' in line && 'capSysAdmin' in line;

export function createAttributeReplay(): LineReplay {
  let possible = startingStates();
  const cutByOldDriver = new Set<string>();
  return (raw) => {
    const line = v.parse(attributeLine, raw);
    noteCuts(cutByOldDriver, line);
    const outcomes = possible.map((tunables) => writeLine(tunables, line, cutByOldDriver));
    const agreeing = outcomes.filter(({ comparison }) => comparison.agrees);
    possible = (agreeing.length > 0 ? agreeing : outcomes).map(({ after }) => after);
    return outcomes.find(({ comparison }) => comparison.agrees)?.comparison ?? firstOf(outcomes).comparison;
  };
}

function startingStates(): readonly Tunables[] {
  const plain = { ...DEFAULT_TUNABLES, selfballoon_reserved_mb: 0 };
  return [1, 0].flatMap((selfballooning) =>
    [1, 0].map((frontswap_selfshrinking) => ({ ...plain, selfballooning, frontswap_selfshrinking })),
  );
}

/** The old driver cut a value past 32 bits and took it; ours refuses it, and from then on the two hold different values. */
function noteCuts(cut: Set<string>, line: AttributeLine): void {
  if (line.result !== 'ok') return;
  if (isCut(line)) cut.add(line.attribute);
  else cut.delete(line.attribute);
}

/**
 * The old driver looked whether a switch was 0 or 1 before it cut, and could not read what has more than 64 bits: it refused
 * both, as ours does.
 */
function isCut({ attribute, write, result }: AttributeLine): boolean {
  if (result !== 'ok' || findTunable(attribute)?.max === 1 || !/^\+?[0-9]+\n?$/.test(write)) return false;
  const value = BigInt(write.replace('+', '').trimEnd());
  return value > TUNABLE_MAX && value < READABLE_MAX;
}

const READABLE_MAX = 2n ** 64n;

interface Outcome {
  readonly after: Tunables;
  readonly comparison: Comparison;
}

function writeLine(before: Tunables, line: AttributeLine, cut: ReadonlySet<string>): Outcome {
  const name = knownName(line.attribute);
  const write = { name, text: line.write, mayChange: line.capSysAdmin, hasFrontswap: true };
  const written = writeTunable(before, write);
  const after = written.result === 'ok' ? written.tunables : before;
  const scheduled = written.result === 'ok' ? scheduledBy({ name, before, after }) : null;
  const got = {
    mode: MODE,
    result: written.result,
    reads: formatTunable(after, name),
    scheduledSeconds: scheduled ?? -1,
  };
  return { after, comparison: compareFields(expectedOf(line, got, cut), got) };
}

/** What the line says, but for where ours differs on purpose: values past 2^31 read as written, past 2^32 are refused. */
function expectedOf(
  line: AttributeLine,
  got: { readonly reads: string; readonly scheduledSeconds: number },
  cut: ReadonlySet<string>,
): object {
  const { mode, result, reads, scheduledSeconds } = line;
  const isScheduledByCut = scheduledSeconds !== -1 && cut.has('selfballoon_interval');
  return {
    mode,
    result: isCut(line) ? 'EINVAL' : result,
    reads: cut.has(line.attribute) ? got.reads : unsignedText(reads),
    scheduledSeconds: isScheduledByCut ? got.scheduledSeconds : scheduledSeconds,
  };
}

const unsignedText = (text: string): string => (Number(text) < 0 ? String(Number(text) + 2 ** 32) : text);

function knownName(name: string): TunableName {
  const found = findTunable(name);
  if (found === null) throw new Error(`there is no tunable ${name}`);
  return found.name;
}

function firstOf<T>(list: readonly T[]): T {
  const [first] = list;
  if (first === undefined) throw new Error('no state is possible any more; this is a bug');
  return first;
}
