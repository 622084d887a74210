/**
 * How much memory the JavaScript engine takes for itself. A daemon that drives one guest from inside it runs a few milliseconds
 * of code every few seconds: compiling that code better costs more, in memory and in time, than it brings, and garbage may be
 * collected a little more often. Measured in docs/decisions/0012-a-small-daemon.md.
 *
 * The engine is told at run time, so that it does not matter how the program was started. A flag that a later Node.js no
 * longer knows makes it print a line and changes nothing else.
 */
import { setFlagsFromString } from 'node:v8';

/** No second, optimising compilation (in the background, with megabytes of its own); the space for new objects stays at 1 MiB. */
const SMALL = ['--no-opt', '--semi-space-growth-factor=1'] as const;
/** The engine's own defaults, the same from Node.js 20 to 26 (node --v8-options). */
const USUAL = ['--opt', '--semi-space-growth-factor=2'] as const;

/** Says what an engine flag is; takes effect from now on. */
export type SetFlag = (flag: string) => void;

/** To be called first of all: most of what a start leaves behind is made while the program is loaded. */
export function keepEngineSmall(setFlag: SetFlag = setFlagsFromString): void {
  for (const flag of SMALL) setFlag(flag);
}

/** For whoever has more to do than one guest makes. */
export function letEngineGrow(setFlag: SetFlag = setFlagsFromString): void {
  for (const flag of USUAL) setFlag(flag);
}
