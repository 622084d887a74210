/**
 * What of a host's domains cannot be read or watched: kept for whoever asks, and told to a person once for each domain and error. It does
 * not know what is done about it: whoever reads tries again.
 */
import { millis, type Millis } from '../../units.js';
import type { XenstoreError } from '../../xenstore/index.js';

/** A domain's number, or the list of them all. */
export type Who = number | 'list';

export interface TroublesOptions {
  readonly now: () => Millis;
  readonly tell: (message: string) => void;
  /** For people: `domain 7 (web)`. */
  readonly describe: (who: Who) => string;
}

/** Troubles that come and go are one, and not a new one each time: it is over when all has worked for so long. */
const CALM_FOR = millis(30_000);

interface Trouble {
  /** What fails, and how it failed last. */
  readonly failing: Map<string, XenstoreError>;
  /** The words of xenstored that a person has heard of. */
  readonly told: Set<string>;
  worksSince: Millis | null;
}

export class Troubles {
  readonly #options: TroublesOptions;
  readonly #troubles = new Map<Who, Trouble>();

  constructor(options: TroublesOptions) {
    this.#options = options;
  }

  /** What fails now, for people: of each domain the first thing that counts, and xenstored once for all that it did not answer. */
  words(counts: (who: Who, what: string) => boolean): readonly string[] {
    const own = [...this.#troubles].flatMap(([who, { failing }]) => {
      const first = [...failing].find(([what, error]) => !isSilence(error) && counts(who, what));
      return first === undefined ? [] : [`${this.#options.describe(who)}: ${first[1].message}`];
    });
    const silence = [...this.#troubles.values()].flatMap(({ failing }) => [...failing.values()]).find(isSilence);
    return silence === undefined ? own : [...own, `the domains of this host: ${silence.message}`];
  }

  /**
   * `what` of it could be read or watched (null), or could not. What ends with the connection is no trouble of a domain. Nor is what
   * xenstored does not answer, of which a person hears when the connection counts as lost; it is kept for whoever asks before.
   */
  note(who: Who, what: string, failure: XenstoreError | null): void {
    if (failure === null) this.#end(who, what);
    else if (failure.xenstoreCode !== 'EUNAVAILABLE') this.#begin(who, what, failure);
  }

  /** Domains that are not among these are gone. */
  keepOnly(present: ReadonlySet<number>): void {
    for (const who of this.#troubles.keys()) if (who !== 'list' && !present.has(who)) this.#troubles.delete(who);
  }

  /** Tells of those that have been over for long enough. To be called now and then. */
  tellOver(): void {
    const { now, tell, describe } = this.#options;
    for (const [who, { worksSince, told }] of this.#troubles) {
      if (worksSince === null || now() - worksSince < CALM_FOR) continue;
      this.#troubles.delete(who);
      if (told.size > 0) tell(`${describe(who)} can be read again`);
    }
  }

  #begin(who: Who, what: string, failure: XenstoreError): void {
    const trouble = this.#troubles.get(who) ?? { failing: new Map(), told: new Set(), worksSince: null };
    this.#troubles.set(who, trouble);
    trouble.failing.set(what, failure);
    trouble.worksSince = null;
    if (isSilence(failure) || trouble.told.has(failure.word)) return;
    trouble.told.add(failure.word);
    const { tell, describe } = this.#options;
    tell(`${describe(who)} cannot be read, or not all of it, and is tried again each second: ${failure.message}`);
  }

  #end(who: Who, what: string): void {
    const trouble = this.#troubles.get(who);
    if (trouble?.failing.delete(what) === true && trouble.failing.size === 0) trouble.worksSince = this.#options.now();
  }
}

/** No answer came within the time limit. */
const isSilence = ({ xenstoreCode }: XenstoreError): boolean => xenstoreCode === 'ETIMEDOUT';
