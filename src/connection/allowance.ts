/** So much a second and no more, of whatever it is. It does not know what waits for it. */
import { millis, type Millis } from '../units.js';

const SECOND = 1_000;

export class Allowance {
  readonly #perSecond: number;
  readonly #now: () => Millis;
  #from = -Infinity;
  #spent = 0;

  constructor(perSecond: number, now: () => Millis) {
    this.#perSecond = perSecond;
    this.#now = now;
  }

  /** What is spent at once may be more than is left; then it is longer until there is some again. */
  spend(amount: number): void {
    const now = this.#now();
    if (now - this.#from >= SECOND) {
      this.#from = now;
      this.#spent = 0;
    }
    this.#spent += amount;
  }

  /** How long it is until some may be spent; 0 = now. */
  get wait(): Millis {
    const age = this.#now() - this.#from;
    return millis(this.#spent < this.#perSecond ? 0 : Math.max(0, SECOND - age));
  }
}
