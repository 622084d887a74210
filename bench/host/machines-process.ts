/**
 * The other side of the host benchmark, as a process of its own so that its work is not measured: fake QEMUs on unix sockets in one
 * folder, whose guests use now more and now less memory and do what their balloons are asked. It notes when each was looked at.
 *
 * Started with the folder and the number of machines; told things over its channel (`MachinesRequest`), and answers there.
 */
import { join } from 'node:path';
import { BALLOON_PATH, type FakeMachine } from '../../test/qmp/support/fake-machine.js';
import { FakeQemu } from '../../test/qmp/support/fake-qemu.js';

/** `begin`: forget what was noted. `report`: say what was noted since. `end`: stop. */
export type MachinesRequest = 'begin' | 'report' | 'end';

/** What one machine has seen since `begin`. */
export interface MachineRecord {
  /** When its statistics were asked for, in ms on this process's clock. */
  readonly looks: readonly number[];
  /** How many targets were asked of its balloon. */
  readonly targets: number;
  /** Whether its guest has all its memory now. */
  readonly isWhole: boolean;
}

export type MachinesAnswer =
  | { readonly kind: 'listening' }
  /** Each has been looked at. */
  | { readonly kind: 'all-seen' }
  | { readonly kind: 'report'; readonly machines: readonly MachineRecord[] };

const MIB = 2 ** 20;
const MEMORY = 1_024 * MIB;
/** What Linux counts of it: its own image is left out. */
const TOTAL = 990 * MIB;
/** What a guest uses moves between 200 and 500 MiB, each in its own time. */
const USED_MEAN = 350 * MIB;
const USED_SWING = 150 * MIB;
const PERIOD_S = { shortest: 30, spread: 30 };

interface Served {
  readonly fake: FakeQemu;
  looks: number[];
  targets: number;
}

const [folder = '', wanted = ''] = process.argv.slice(2);
const count = Number(wanted);
const served: Served[] = [];
let unseen = count;

const answer = (message: MachinesAnswer): void => void process.send?.(message);

/** What a Linux guest reports after `seconds`, all ten figures of it. The balloon is in its total, as with deflate-on-oom. */
function statsOf({ actual }: FakeMachine, n: number, seconds: number): Readonly<Record<string, number>> {
  const period = PERIOD_S.shortest + (PERIOD_S.spread * n) / count;
  const used = Math.round(USED_MEAN + USED_SWING * Math.sin(n + (2 * Math.PI * seconds) / period));
  const available = Math.max(0, TOTAL - used - (MEMORY - (actual ?? MEMORY)));
  return {
    'stat-total-memory': TOTAL,
    'stat-available-memory': available,
    'stat-free-memory': Math.floor(available / 2),
    'stat-disk-caches': Math.floor(available / 2),
    'stat-swap-in': 0,
    'stat-swap-out': 4_096,
    'stat-major-faults': Math.floor(400 + seconds),
    'stat-minor-faults': Math.floor(90_000 + 500 * seconds),
    'stat-htlb-pgalloc': 0,
    'stat-htlb-pgfail': 0,
  };
}

async function addMachine(n: number): Promise<void> {
  const fake = new FakeQemu(join(folder, `guest-${n}.qmp`));
  const { machine } = fake;
  Object.assign(machine, { name: `guest-${n}`, memory: MEMORY, actual: MEMORY, deflateOnOom: true });
  const one: Served = { fake, looks: [], targets: 0 };
  served.push(one);
  const get = machine.commands.get('qom-get');
  const resize = machine.commands.get('balloon');
  machine.commands.set('qom-get', (args) => {
    if (args['path'] === BALLOON_PATH && args['property'] === 'guest-stats') noteLook(one, n);
    return get?.(args);
  });
  machine.commands.set('balloon', (args) => {
    one.targets += 1;
    return resize?.(args);
  });
  await fake.listen();
}

function noteLook(one: Served, n: number): void {
  const now = performance.now();
  one.looks.push(now);
  const { machine, requests } = one.fake;
  machine.stats = statsOf(machine, n, now / 1_000);
  machine.lastUpdate = Math.floor(Date.now() / 1_000);
  // What is kept of the requests would grow without end.
  requests.length = 0;
  if (unseen > 0 && one.looks.length === 1 && (unseen -= 1) === 0) answer({ kind: 'all-seen' });
}

function begin(): void {
  for (const one of served) Object.assign(one, { looks: [], targets: 0 });
}

const recordOf = ({ fake, looks, targets }: Served): MachineRecord => ({
  looks,
  targets,
  isWhole: fake.machine.actual === MEMORY,
});

async function end(): Promise<void> {
  for (const { fake } of served) await fake.stop();
  if (process.connected) process.disconnect();
}

process.on('message', (request: MachinesRequest) => {
  if (request === 'begin') begin();
  else if (request === 'report') answer({ kind: 'report', machines: served.map(recordOf) });
  else void end();
});
// Whoever started it is gone.
process.once('disconnect', () => void end());

for (let n = 0; n < count; n += 1) await addMachine(n);
answer({ kind: 'listening' });
