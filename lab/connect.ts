/** Connecting to an emulator's port. */
import { createConnection, type Socket } from 'node:net';

/** Tries once to connect to a unix socket; null: nobody listens there. The connection's later errors are its end only. */
export function tryConnect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.on('error', () => undefined);
      resolve(socket);
    });
    socket.once('error', () => {
      resolve(null);
    });
  });
}
