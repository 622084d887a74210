/**
 * Which paths may be sent to xenstored. Checked here, so that a mistake is an error with words and not a bare EINVAL. It does not
 * know which paths exist, nor whose they are.
 */
import { quoted } from '../errors.js';
import { invalid } from './errors.js';

/** `XENSTORE_ABS_PATH_MAX` and `XENSTORE_REL_PATH_MAX` of `xs_wire.h`, in bytes. */
export const ABSOLUTE_PATH_BYTES_MAX = 3072;
export const RELATIVE_PATH_BYTES_MAX = 2048;

/** The characters that the protocol permits. All are one byte long, so characters count as bytes once this is checked. */
const PATH = /^[A-Za-z0-9\-/_@]+$/;
/** `@introduceDomain`, `@releaseDomain`, and with newer xenstoreds `@releaseDomain/5`. */
const SPECIAL_WATCH = /^@[A-Za-z0-9\-/_@]+$/;

/** Throws `XenstoreError` (EINVAL) unless `path` is one that the protocol permits: absolute, or relative to the own domain's. */
export function checkPath(path: string): void {
  const why = whyNot(path);
  if (why === null) return;
  throw invalid(`${quoted(path)} is not a xenstore path: ${why}`);
}

/** The same for a path to watch, which may also be one of xenstored's own events, such as `@releaseDomain`. */
export function checkWatchPath(path: string): void {
  if (SPECIAL_WATCH.test(path) && path.length <= RELATIVE_PATH_BYTES_MAX) return;
  checkPath(path);
}

export const isPath = (text: string): boolean => whyNot(text) === null;

/** Whether a name can be that of one node: no path, not empty. */
export const isNodeName = (name: string): boolean => PATH.test(name) && !name.includes('/');

function whyNot(path: string): string | null {
  const most = path.startsWith('/') ? ABSOLUTE_PATH_BYTES_MAX : RELATIVE_PATH_BYTES_MAX;
  if (path === '') return 'it is empty';
  if (path.length > most) return `it is longer than ${most} bytes`;
  if (!PATH.test(path)) return 'only letters, digits and - / _ @ may stand in it';
  if (path.includes('//')) return 'it has a double slash';
  if (path.endsWith('/') && path !== '/') return 'it ends in a slash';
  return null;
}
