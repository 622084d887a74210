/** What may be asked of a running loop from outside. Every command goes in as an event and is answered by the step. */
import type { Answer } from '../control/actions.js';

export interface Commands {
  /** Writes a tunable. `mayChange` says whether the operating system lets the asker change things. */
  writeTunable(write: { readonly name: string; readonly text: string; readonly mayChange: boolean }): Promise<Answer>;
  /** Gives all memory back and switches both controllers off. */
  release(): Promise<Answer>;
}

/** Told whenever a tunable has a (new) value to be shown. */
export type TunableListener = (name: string, text: string) => void;
