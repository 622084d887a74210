/** What replaying one line of golden vectors comes to. */
import { isDeepStrictEqual } from 'node:util';

export type Comparison =
  | { readonly agrees: true }
  | {
      readonly agrees: false;
      readonly expected: unknown;
      readonly got: unknown;
      /** Which value of which line it is. */
      readonly where: string;
    };

export const AGREES: Comparison = { agrees: true };

/** Replays one line after another of one file; throws on a line that is not of its kind. */
export type LineReplay = (line: unknown) => Comparison;

/** Compares two plain objects field by field. A field that is undefined on either side counts as one that is absent. */
export function compareFields(expected: object, got: object): Comparison {
  const wanted = new Map<string, unknown>(Object.entries(expected));
  const found = new Map<string, unknown>(Object.entries(got));
  const names = new Set([...wanted.keys(), ...found.keys()]);
  const differing = [...names].filter((name) => !isDeepStrictEqual(wanted.get(name), found.get(name)));
  return differing.length === 0 ? AGREES : { agrees: false, expected, got, where: differing.join(', ') };
}
