/** Can the daemon be reached and steered here, and is one running already? */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorText, SelfballoonError } from '../../errors.js';
import { decodeStatus, request } from '../../server/index.js';
import { fail, ok, warn, type Finding } from './finding.js';

export async function checkSocket(socketPath: string): Promise<Finding> {
  try {
    await request(socketPath, 'GET', '/v1/health');
    return ok(`a daemon answers on ${socketPath}`);
  } catch (error) {
    if (!(error instanceof SelfballoonError)) throw error;
    if (error.code !== 'EUNAVAILABLE')
      return fail(error.message, 'See who runs the daemon, and ask as that user or as root');
    return checkFolder(socketPath);
  }
}

/** How many guests of that kind, the first part of their ids, the daemon knows that answers there; 0 also where none does. */
export async function knownAt(socketPath: string, kind: string): Promise<number> {
  try {
    const { guests } = decodeStatus((await request(socketPath, 'GET', '/v1/status')).body);
    return guests.filter(({ id }) => id.startsWith(`${kind}/`)).length;
  } catch (error) {
    if (error instanceof SelfballoonError) return 0;
    throw error;
  }
}

/** The folder need not be there yet, but somewhere above it one must be where it can be made. */
function checkFolder(socketPath: string): Finding {
  let folder = dirname(socketPath);
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK);
    return ok(`no daemon runs; its socket ${socketPath} can be made`);
  } catch (error) {
    return warn(
      `the socket ${socketPath} cannot be made (${errorText(error)})`,
      'Run as root, or choose a path with --socket',
    );
  }
}
