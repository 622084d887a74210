/**
 * Hands a unix socket's connections on to another one, so that a test can cut them: when it ends, so do they, and what listens
 * behind it never notices.
 *
 *     node socket-proxy.js LISTEN_PATH TARGET_PATH
 */
import { rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';

const [listenPath = '', targetPath = ''] = process.argv.slice(2);

rmSync(listenPath, { force: true });
createServer((inside) => {
  const outside = createConnection(targetPath);
  const end = (): void => {
    inside.destroy();
    outside.destroy();
  };
  for (const socket of [inside, outside]) socket.on('error', end).on('close', end);
  inside.pipe(outside).pipe(inside);
}).listen(listenPath, () => {
  console.log('listens');
});
