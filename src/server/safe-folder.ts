/**
 * Folders in which a daemon that may be root makes and removes files. A hostile user must not be able to bend a path of ours
 * to somebody else's file, so every folder on the way must belong to root or to us and must not be writable by others
 * (except with the sticky bit, where others cannot touch what is ours).
 */
import { lstatSync, mkdirSync, realpathSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { errorText, SelfballoonError, systemErrorCode } from '../errors.js';

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/** The uid that this process acts with. */
export const ownUid = (): number => process.geteuid?.() ?? -1;

/** Whether a file's owner is root or ourselves. */
export const isTrustedOwner = (uid: number): boolean => uid === 0 || uid === ownUid();

/** What `lstat` says, or null where there is nothing. Throws other errors as they are. */
export function statOrNull(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}

/** Makes the folder if it is not there (mode 0755), and checks it. Throws `SelfballoonError` `EPERM` or `EIO`. */
export function prepareFolder(folder: string): void {
  checkFolder(nearestThatIs(folder));
  const umaskBefore = process.umask(WRITABLE_BY_OTHERS);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw new SelfballoonError({
      code: systemErrorCode(error) === 'EACCES' ? 'EPERM' : 'EIO',
      message: `the folder ${folder} cannot be made: ${errorText(error)}`,
      advice: 'Run as root, or name another socket with the configuration key socket',
      cause: error,
    });
  } finally {
    process.umask(umaskBefore);
  }
  checkFolder(folder);
}

function nearestThatIs(folder: string): string {
  const above = dirname(folder);
  return above === folder || statOrNull(folder) !== null ? folder : nearestThatIs(above);
}

/** Checks the way to a folder as it is written, and then, where links lead elsewhere, the way to where they lead. */
function checkFolder(folder: string): void {
  checkWay(folder);
  checkWay(realpathSync(folder));
}

function checkWay(path: string): void {
  const above = dirname(path);
  if (above !== path) checkWay(above);
  const stat = lstatSync(path);
  if (!isTrustedOwner(stat.uid)) throw untrusted(path, `belongs to user ${stat.uid}, who is neither root nor us`);
  if (stat.isSymbolicLink()) return;
  if (!stat.isDirectory()) throw untrusted(path, 'is not a folder');
  const isOpen = (stat.mode & WRITABLE_BY_OTHERS) !== 0 && (stat.mode & STICKY) === 0;
  if (isOpen) throw untrusted(path, 'can be written to by other users');
}

function untrusted(path: string, why: string): SelfballoonError {
  return new SelfballoonError({
    code: 'EPERM',
    message: `${path} ${why}, so nothing is made there: others could bend it to files that are not theirs`,
    advice: `Look at it (ls -ld ${path}), correct its owner and mode, or name another place`,
  });
}
