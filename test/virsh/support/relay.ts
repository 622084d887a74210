/** Run as `virsh` by tests: hands everything on to the test's own process, over the socket that it is given. It knows nothing of virsh. */
import { createConnection } from 'node:net';

const [path = '', ...args] = process.argv.slice(2);
const socket = createConnection(path);
socket.write(`${JSON.stringify(args)}\n`);
process.stdin.pipe(socket);
socket.pipe(process.stdout);
// Ended by the test, as if it had crashed; or by its reader, as virsh is at the end of its input.
socket.on('close', () => {
  process.exitCode = 1;
  process.stdin.destroy();
});
socket.on('error', () => undefined);
