/** Runs in dom0: takes requests from the host, runs commands here and, over their consoles, in guests. */
import { createReadStream, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PORT_NAME, type LabAnswer, type LabRequest } from '../protocol.js';
import { runInGuest } from './guest-console.js';
import { runHere } from './run-here.js';

function findPort(): string {
  const folder = '/sys/class/virtio-ports';
  const name = readdirSync(folder).find((port) => readFileSync(`${folder}/${port}/name`, 'utf8').trim() === PORT_NAME);
  if (name === undefined) throw new Error(`no virtio port ${PORT_NAME}`);
  return `/dev/${name}`;
}

const port = openSync(findPort(), 'r+');

function answer(message: LabAnswer): void {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let sent = 0; sent < bytes.length;) sent += writeSync(port, bytes, sent);
}

async function carryOut(request: LabRequest): Promise<void> {
  const { id, console, command, limitMs } = request;
  const ran = await (console === null ? runHere(command, limitMs) : runInGuest({ ...request, console }));
  answer({ id, ...ran });
}

createInterface({ input: createReadStream('', { fd: port, autoClose: false }) }).on('line', (line) => {
  void carryOut(JSON.parse(line) as LabRequest);
});
answer({ id: 0, hello: process.version });
