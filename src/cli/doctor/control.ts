/** Can the daemon be reached and steered here, and is one running already? */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorText, SelfballoonError } from '../../errors.js';
import { request } from '../../server/index.js';
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

/** Whether a daemon answers there. */
export async function answersAt(socketPath: string): Promise<boolean> {
  try {
    await request(socketPath, 'GET', '/v1/health');
    return true;
  } catch (error) {
    if (error instanceof SelfballoonError) return false;
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
