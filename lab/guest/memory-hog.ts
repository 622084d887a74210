/**
 * A process that needs memory, for use in a guest: it takes memory in steps, fills it with contents that can be checked, holds
 * it, and says what became of it, one JSON object a line. SIGUSR2 makes it check what it holds; SIGTERM check and end.
 *
 *     node memory-hog.js MIB STEP_MIB EVERY_MS [wait]
 *
 * With `wait` it takes nothing before SIGUSR1 comes, so that its own start is no part of the demand.
 */
import { contentsOf, isIntact } from './contents.js';

const [mib = 0, stepMib = mib, everyMs = 0] = process.argv.slice(2).map(Number);
const MIB = 1024 * 1024;

const held: Buffer[] = [];
const heldMib = (): number => held.reduce((sum, { length }) => sum + length / MIB, 0);
const say = (kind: string, more: object = {}): void => {
  console.log(JSON.stringify({ kind, at: Date.now(), mib: heldMib(), ...more }));
};

function check(): void {
  const damaged = held.filter((block, n) => !isIntact(block, n)).length;
  say('checked', { damaged });
}

function take(): void {
  const size = Math.min(stepMib, mib - heldMib());
  if (size <= 0) {
    say('holds');
    return;
  }
  try {
    held.push(contentsOf(size * MIB, held.length));
  } catch (error) {
    say('allocation-failed', { why: String(error) });
    return;
  }
  say('took');
  setTimeout(take, everyMs);
}

process.on('SIGUSR2', check);
process.on('SIGTERM', () => {
  check();
  process.exit(0);
});
// Nothing else keeps it alive while it waits, and once it holds what it should.
setInterval(() => undefined, 60_000);

function begin(): void {
  say('began');
  take();
}

if (process.argv[5] === 'wait') {
  // Node.js would start its debugger at this signal, unless somebody listens.
  process.once('SIGUSR1', begin);
  say('waits');
} else {
  begin();
}
