/**
 * The small files of one folder, by name: read, written, removed. It decides which file may be believed (a regular one that
 * only root or we can have written) and knows nothing of what the texts mean.
 *
 * The calls are synchronous on purpose: the files are tiny and lie in memory (/run), and nothing of ours can come in between
 * a look and an act.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { systemErrorCode } from '../errors.js';
import { isTrustedOwner, prepareFolder, statOrNull } from './safe-folder.js';

const MODE = 0o644;
const WRITABLE_BY_OTHERS = 0o022;
/** More than any tunable takes. */
const TEXT_BYTES_MAX = 64;

/**
 * - `text`: what is in the file
 * - `missing`: there is none
 * - `not-ours`: a link, a folder, a file that others may have written, or one that is too large; `why` says which
 */
export type Found =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'not-ours'; readonly why: string };

const notOurs = (why: string): Found => ({ kind: 'not-ours', why });

export class AttributeFolder {
  constructor(readonly path: string) {}

  /** Makes the folder where it is missing. Throws `SelfballoonError`, `EPERM` where it is not safe. */
  prepare(): void {
    prepareFolder(this.path);
  }

  /** Which folder this is now; another text means that it was replaced. Null = there is none. */
  identity(): string | null {
    const stat = statOrNull(this.path);
    // File systems use the numbers of removed folders again at once.
    return stat === null ? null : `${stat.dev}:${stat.ino}:${stat.birthtimeMs}`;
  }

  read(name: string): Found {
    let fd: number;
    try {
      fd = openSync(join(this.path, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      return this.#unopened(error);
    }
    try {
      return readOpened(fd);
    } finally {
      closeSync(fd);
    }
  }

  #unopened(error: unknown): Found {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') return { kind: 'missing' };
    return notOurs(code === 'ELOOP' ? 'it is a symbolic link' : `it cannot be opened (${code ?? 'no code'})`);
  }

  /** Puts a whole new file in the place of the old one, so that a reader sees the old text or the new, never a mixture. */
  replace(name: string, text: string): void {
    const temporary = join(this.path, `.${name}.new`);
    if (statOrNull(temporary) !== null) unlinkSync(temporary);
    const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, MODE);
    try {
      // The umask has cut the mode.
      fchmodSync(fd, MODE);
      writeSync(fd, text);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, join(this.path, name));
  }

  /** Writes into the file that is there: a shell that holds it open for writing must not be left with a file of no name. */
  overwrite(name: string, text: string): void {
    const flags = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = openSync(join(this.path, name), flags);
    try {
      if (!fstatSync(fd).isFile()) return;
      ftruncateSync(fd, writeSync(fd, text, 0));
    } finally {
      closeSync(fd);
    }
  }

  /** Removes a file if it is there. A folder of that name is left alone. */
  remove(name: string): void {
    const stat = statOrNull(join(this.path, name));
    if (stat !== null && !stat.isDirectory()) unlinkSync(join(this.path, name));
  }

  /** Removes the folder, unless somebody has put something of their own there. */
  removeFolder(): void {
    try {
      rmdirSync(this.path);
    } catch (error) {
      if (!['ENOTEMPTY', 'ENOENT'].includes(systemErrorCode(error) ?? '')) throw error;
    }
  }
}

function readOpened(fd: number): Found {
  const stat = fstatSync(fd);
  if (!stat.isFile()) return notOurs('it is not a regular file');
  if (!isTrustedOwner(stat.uid)) return notOurs(`it belongs to user ${stat.uid}`);
  if ((stat.mode & WRITABLE_BY_OTHERS) !== 0) return notOurs('other users can write to it');
  const buffer = Buffer.alloc(TEXT_BYTES_MAX + 1);
  const length = readSync(fd, buffer, 0, buffer.length, 0);
  if (length > TEXT_BYTES_MAX) return notOurs(`it has more than ${TEXT_BYTES_MAX} bytes`);
  return { kind: 'text', text: buffer.toString('utf8', 0, length) };
}
