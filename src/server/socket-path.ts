/** Where the daemon's socket is, and how its place is made free for a new one. */
import { existsSync, unlinkSync, type Stats } from 'node:fs';
import { connect } from 'node:net';
import { dirname, isAbsolute, join } from 'node:path';
import { SelfballoonError, systemErrorCode } from '../errors.js';
import { isTrustedOwner, ownUid, prepareFolder, statOrNull } from './safe-folder.js';

/** `sun_path` has 108 bytes, the last of which is 0. */
const SOCKET_PATH_BYTES_MAX = 107;
const PROBE_LIMIT_MS = 2000;

/**
 * The socket's default place: under /run for root; for anybody else in the folder that systemd has made for the service (its
 * `RuntimeDirectory=`, which the units name so that it is where root looks), or in the user's own runtime folder.
 */
export function defaultSocketPath(env: Readonly<Record<string, string | undefined>>, uid = ownUid()): string {
  if (uid === 0) return '/run/selfballoon/selfballoon.sock';
  // Several are separated by colons (systemd.exec).
  const [ofService = ''] = env['RUNTIME_DIRECTORY']?.split(':') ?? [];
  if (isAbsolute(ofService)) return join(ofService, 'selfballoon.sock');
  const ofUser = env['XDG_RUNTIME_DIR'];
  if (ofUser !== undefined && isAbsolute(ofUser)) return join(ofUser, 'selfballoon', 'selfballoon.sock');
  throw new SelfballoonError({
    code: 'EUNAVAILABLE',
    message:
      'there is no place for the socket: neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR is set, and this is not root',
    advice:
      'Run as root, put RuntimeDirectory=selfballoon into the unit, set XDG_RUNTIME_DIR to a folder of your own, or name a socket with the configuration key socket',
  });
}

/** The folder of a daemon's attribute files: beside its socket, and named as it is, so that two daemons in one folder do not share them. */
export const attributeFolderOf = (socketPath: string): string =>
  socketPath.endsWith('.sock') ? socketPath.slice(0, -'.sock'.length) : `${socketPath}.d`;

/**
 * Makes sure that a socket can be bound at `path`: the folder is there and safe, and nothing lies in the way. A socket that
 * nobody answers on is removed. Throws `SelfballoonError`: `EUNAVAILABLE` where a daemon answers, `EPERM` where something
 * else is in the way, `EINVAL` for a path that no socket can have.
 */
export async function claimSocketPath(path: string): Promise<void> {
  const length = Buffer.byteLength(path);
  if (!isAbsolute(path) || length > SOCKET_PATH_BYTES_MAX) {
    throw new SelfballoonError({
      code: 'EINVAL',
      message: `${path} cannot be the path of a socket: it has ${length} bytes`,
      advice: `Name an absolute path of at most ${SOCKET_PATH_BYTES_MAX} bytes`,
    });
  }
  let found: Stats | null;
  try {
    found = lookAt(path);
  } catch (error) {
    // Whoever's it is: a daemon of another user drives the same guests.
    if (existsSync(path) && (await isAnswered(path))) throw alreadyRunning(path);
    throw error;
  }
  if (found === null) return;
  if (await isAnswered(path)) throw alreadyRunning(path);
  // Time has passed: what is removed must still be what was looked at.
  const now = statOrNull(path);
  if (now?.ino === found.ino && now.ctimeMs === found.ctimeMs) unlinkSync(path);
}

/** What lies there now, in a folder that is there and safe; null: nothing. Throws where it must be left alone. */
function lookAt(path: string): Stats | null {
  prepareFolder(dirname(path));
  const found = statOrNull(path);
  if (found !== null) checkInTheWay(path, found);
  return found;
}

const alreadyRunning = (path: string): SelfballoonError =>
  new SelfballoonError({
    code: 'EUNAVAILABLE',
    message: `a daemon is already running there: ${path} answers`,
    advice: 'Stop it first, or name another socket with the configuration key socket',
  });

function checkInTheWay(path: string, stat: Stats): void {
  const isOurs = stat.isSocket() && isTrustedOwner(stat.uid);
  if (isOurs) return;
  const what = stat.isSymbolicLink()
    ? 'a symbolic link'
    : stat.isSocket()
      ? 'a socket'
      : 'something that is not a socket';
  throw new SelfballoonError({
    code: 'EPERM',
    message: `${path} is ${what} of user ${stat.uid}; it is left alone`,
    advice: `Look at it (ls -l ${path}), and remove it if nobody needs it`,
  });
}

/** Only a refused connection says that nobody is there; a daemon too busy to answer is still a daemon. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(PROBE_LIMIT_MS, () => {
      settle(true);
    });
    socket.once('connect', () => {
      settle(true);
    });
    socket.once('error', (error) => {
      const code = systemErrorCode(error);
      settle(code !== 'ECONNREFUSED' && code !== 'ENOENT');
    });
  });
}
