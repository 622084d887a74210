/**
 * The loud stop. The driver's books say who owns every frame; once they are wrong, going on means handing one page to two
 * owners, which destroys data. So whatever should not be able to happen is thrown as this.
 */
import { SelfballoonError } from '../errors.js';

/** A frame or a count is not what it must be. Its `code` is `EIO`; the message says what was seen. */
export class BalloonBugError extends SelfballoonError {
  override readonly name = 'BalloonBugError';

  constructor(seen: string, cause?: unknown) {
    super({
      code: 'EIO',
      message: `balloon driver: ${seen}`,
      advice: 'This is a bug in the program, not in the guest: please report it with this message',
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
