/**
 * Tunables as small files, as sysfs had them: `cat selfballoon_interval`, `echo 10 > selfballoon_interval`. The files show
 * what the loop has; what somebody writes is handed in as a command, and put back when it is refused. Who may write is the
 * file mode's business, so what arrives here was allowed.
 */
import { watch, type FSWatcher } from 'node:fs';
import { findTunable, formatTunable, TUNABLES } from '../control/tunables.js';
import { errorText } from '../errors.js';
import type { Commands } from '../runtime/commands.js';
import type { ReadModel } from '../runtime/read-model.js';
import { AttributeFolder } from './attribute-folder.js';

export interface AttributeFilesOptions {
  /** Made if it is not there; its parent is the socket's folder. */
  readonly folder: string;
  readonly readModel: ReadModel;
  readonly commands: Commands;
  /** Told of the files' own troubles. A value that the commands refuse is told by whoever answers them (the loop), once. */
  readonly warn: (message: string) => void;
}

export interface AttributeFiles {
  /** Shows a tunable's value; `text` without a newline. Never throws. */
  show(name: string, text: string): void;
  /** Removes the files and the folder. */
  close(): Promise<void>;
}

/** A shell truncates first and writes then: what is seen in between is not yet what was meant. */
const SETTLE_MS = 30;
/** A file that is empty for so long was emptied on purpose. */
const EMPTY_MS = 200;
/** fs.watch has limits (the number of watches, some file systems): look at everything from time to time as well. */
const POLL_MS = 5000;

/** Makes the files and follows them. Throws `SelfballoonError` where the folder cannot be made or is not safe. */
export function startAttributeFiles(options: AttributeFilesOptions): Promise<AttributeFiles> {
  const files = new FollowedFiles(options);
  return new Promise((resolve) => {
    files.start();
    resolve(files);
  });
}

class FollowedFiles implements AttributeFiles {
  readonly #folder: AttributeFolder;
  /** What each file shows, newline included. */
  readonly #shown = new Map<string, string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Commands under way, by name: the text that was handed in, and the promise of the command's end. */
  readonly #asking = new Map<string, { readonly text: string; readonly done: Promise<void> }>();
  readonly #poll: NodeJS.Timeout;
  #watcher: FSWatcher | null = null;
  #watched: string | null = null;
  #lastWarning = '';
  #isClosed = false;

  constructor(private readonly options: AttributeFilesOptions) {
    this.#folder = new AttributeFolder(options.folder);
    this.#poll = setInterval(() => {
      this.#attempt('looking after the attribute files', () => {
        this.#lookAtAll();
      });
    }, POLL_MS).unref();
  }

  start(): void {
    try {
      this.#fill();
    } catch (error) {
      clearInterval(this.#poll);
      throw error;
    }
  }

  show(name: string, text: string): void {
    if (this.#isClosed || findTunable(name) === null) return;
    this.#attempt(`showing ${name}`, () => {
      const before = this.#shown.get(name);
      this.#shown.set(name, `${text}\n`);
      const found = this.#folder.read(name);
      if (found.kind === 'text' && found.text === `${text}\n`) return;
      // What is neither the old value nor what was handed in is being written just now: it must not be lost.
      const isOld = found.kind !== 'text' || found.text === before || found.text === this.#asking.get(name)?.text;
      if (isOld) this.#restore(name);
      else this.#lookSoon(name, SETTLE_MS);
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#poll);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#watcher?.close();
    await Promise.all(Array.from(this.#asking.values(), ({ done }) => done));
    this.#attempt('removing the attribute files', () => {
      if (this.#folder.identity() === null) return;
      for (const { name } of TUNABLES) this.#folder.remove(name);
      this.#folder.removeFolder();
    });
  }

  /** Makes the folder with all files, whatever was there before. */
  #fill(): void {
    const { tunables, hasFrontswap } = this.options.readModel.snapshot();
    this.#folder.prepare();
    for (const { name, needsFrontswap } of TUNABLES) {
      if (needsFrontswap && !hasFrontswap) {
        this.#folder.remove(name);
        continue;
      }
      this.#shown.set(name, `${formatTunable(tunables, name)}\n`);
      this.#restore(name);
    }
    this.#follow();
  }

  #follow(): void {
    this.#watcher?.close();
    this.#watched = this.#folder.identity();
    this.#attempt('watching the attribute files (they are looked at every 5 s instead)', () => {
      this.#watcher = watch(this.#folder.path, { persistent: false }, (_, name) => {
        if (name !== null && this.#shown.has(name)) this.#lookSoon(name, SETTLE_MS);
      });
      this.#watcher.on('error', (error) => {
        this.#warnOnce(`watching the attribute files failed, they are looked at every 5 s: ${errorText(error)}`);
      });
    });
  }

  /** Nothing of ours comes in between the looks, so it is asked once whether the folder is still the same. */
  #lookAtAll(): void {
    if (this.#isReplaced()) {
      this.#fill();
      return;
    }
    for (const name of this.#shown.keys()) {
      if (!this.#timers.has(name))
        this.#lookUnlessAsking(name, () => {
          this.#judge(name, 'first');
        });
    }
  }

  #isReplaced(): boolean {
    return this.#folder.identity() !== this.#watched;
  }

  #lookSoon(name: string, delayMs: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timers.get(name));
    const look = delayMs === EMPTY_MS ? 'again' : 'first';
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      this.#look(name, look);
    }, delayMs);
    this.#timers.set(name, timer);
  }

  /** `again`: the file was seen empty before, and enough time has passed. */
  #look(name: string, look: 'first' | 'again'): void {
    if (this.#isClosed) return;
    this.#lookUnlessAsking(name, () => {
      if (this.#isReplaced()) this.#fill();
      else this.#judge(name, look);
    });
  }

  /** What was handed in before must be answered first. */
  #lookUnlessAsking(name: string, look: () => void): void {
    if (this.#asking.has(name)) this.#lookSoon(name, SETTLE_MS);
    else this.#attempt(`looking at ${name}`, look);
  }

  #judge(name: string, look: 'first' | 'again'): void {
    const found = this.#folder.read(name);
    if (found.kind === 'not-ours') this.#warnOnce(`what was put in the place of ${name} is not used: ${found.why}`);
    if (found.kind !== 'text') {
      this.#restore(name);
      this.#lastWarning = '';
    } else if (found.text === '' && look === 'first') this.#lookSoon(name, EMPTY_MS);
    else if (found.text === '') this.#putBack(name);
    else if (found.text !== this.#shown.get(name)) this.#handIn(name, found.text);
  }

  #handIn(name: string, text: string): void {
    const done = this.#ask(name, text).finally(() => this.#asking.delete(name));
    this.#asking.set(name, { text, done });
  }

  /** Never rejects. An accepted value is shown by the loop; it comes back through `show`. */
  async #ask(name: string, text: string): Promise<void> {
    try {
      const answer = await this.options.commands.writeTunable({ name, text, mayChange: true });
      if (answer.result === 'ok') return;
      // What the step refuses it tells itself; this one it never saw.
      if (answer.result === 'EUNAVAILABLE') this.#warnNotHandedIn(name, answer.why);
    } catch (error) {
      this.#warnNotHandedIn(name, errorText(error));
    }
    this.#attempt(`putting ${name} back`, () => {
      const found = this.#folder.read(name);
      if (found.kind === 'text' && found.text === text) this.#putBack(name);
      else this.#lookSoon(name, SETTLE_MS);
    });
  }

  #warnNotHandedIn(name: string, why: string): void {
    this.options.warn(`a value written to ${this.#folder.path}/${name} could not be handed in: ${why}`);
  }

  #putBack(name: string): void {
    this.#folder.overwrite(name, this.#shown.get(name) ?? '');
  }

  #restore(name: string): void {
    this.#folder.replace(name, this.#shown.get(name) ?? '');
  }

  #attempt(what: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#warnOnce(`${what} failed: ${errorText(error)}`);
    }
  }

  /** What goes on being wrong is told once, not every 5 s. */
  #warnOnce(message: string): void {
    if (message === this.#lastWarning) return;
    this.#lastWarning = message;
    this.options.warn(message);
  }
}
