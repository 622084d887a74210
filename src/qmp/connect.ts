/** A client of the QEMU whose QMP monitor listens at a path. */
import { openQmp, type Qmp, type QmpOptions } from './client.js';
import { connectUnixSocket } from './unix-socket.js';

/**
 * Connects to the unix socket at `path` and begins to speak with the QEMU there. Rejects with `QmpError` as `connectUnixSocket` and
 * `openQmp` do. `signal` ends the beginning only; what was opened is ended with `close`.
 */
export async function connectQmp(path: string, options: QmpOptions, signal: AbortSignal): Promise<Qmp> {
  return openQmp(await connectUnixSocket(path, signal), options, signal);
}
