/** What may be asked of a running loop from outside. Every command goes in as an event and is answered by the step. */
import type { Answer } from '../control/actions.js';

/** The step's answer; or `EUNAVAILABLE` from a loop that is ending, or in which too much waits to take another command. */
export type CommandAnswer = Answer | { readonly result: 'EUNAVAILABLE'; readonly why: string };

/** What was refused, or could not be taken, is an answer too, and no error. */
export interface Commands {
  /** Writes a tunable. `mayChange` says whether the operating system lets the asker change things. */
  writeTunable(write: {
    readonly name: string;
    readonly text: string;
    readonly mayChange: boolean;
  }): Promise<CommandAnswer>;
  /** Gives all memory back and switches both controllers off. */
  release(): Promise<CommandAnswer>;
}

/** Told whenever a tunable has a (new) value to be shown. */
export type TunableListener = (name: string, text: string) => void;
