/** Can the journal be opened where the configuration has it? It opens and makes nothing. */
import { accessSync, constants, lstatSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { errorText } from '../../errors.js';
import { fail, ok, type Finding } from './finding.js';

const ANOTHER = 'choose another path with journal.path';

/** One finding where a journal is configured, none where not. */
export function checkJournal(path: string | null): readonly Finding[] {
  if (path === null) return [];
  try {
    return [checkPath(path)];
  } catch (error) {
    return [fail(`the journal ${path} cannot be opened (${errorText(error)})`, `Run as root, or ${ANOTHER}`)];
  }
}

/** Throws what the system says where something on the way may not be looked at or written to. */
function checkPath(path: string): Finding {
  // As for the daemon: a link to a file counts as something else.
  const file = ifThere(() => lstatSync(path));
  if (file !== null) {
    if (!file.isFile()) return fail(`the journal ${path} is not a regular file`, `Move it away, or ${ANOTHER}`);
    accessSync(path, constants.W_OK);
    return ok(`the journal ${path} is there, and can be written on`);
  }
  const folder = dirname(path);
  if (isFolder(folder)) return whereWritable(folder, `the journal ${path} can be made`);
  if (ifThere(() => lstatSync(folder)) !== null)
    return fail(`the journal ${path} cannot be made: ${folder} is no folder`, `Move it away, or ${ANOTHER}`);
  const above = dirname(folder);
  if (isFolder(above)) return whereWritable(above, `the journal ${path} and its folder can be made`);
  return fail(
    `the journal ${path} cannot be made: neither its folder nor the one above is there`,
    `Make it (mkdir -p ${folder}), or ${ANOTHER}`,
  );
}

function whereWritable(folder: string, what: string): Finding {
  accessSync(folder, constants.W_OK | constants.X_OK);
  return ok(what);
}

const isFolder = (path: string): boolean => ifThere(() => statSync(path))?.isDirectory() === true;

function ifThere(look: () => Stats): Stats | null {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return null;
    throw error;
  }
}
