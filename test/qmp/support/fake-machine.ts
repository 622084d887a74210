/**
 * A made-up virtual machine for the fake QEMU: memory, a balloon, what the guest says of itself. It answers as QEMU 7.2 does; tests
 * change its fields, or the answer to any command. Sizes are in bytes.
 */

/** What the fake answers with an error. */
export class Refusal extends Error {
  constructor(
    readonly errorClass: string,
    readonly description: string,
  ) {
    super(description);
  }
}

type Arguments = Readonly<Record<string, unknown>>;
export type Command = (args: Arguments) => unknown;

/** As which JavaScript reads 2^64 − 1, QEMU's word for "not reported". */
export const NOT_REPORTED = 2 ** 64;
export const BALLOON_PATH = '/machine/peripheral/balloon0';

/** A virtio-mem device. */
export interface FakePlug {
  /** Null: it was given none, and hangs in `peripheral-anon`. */
  readonly id: string | null;
  readonly memdev: string;
  readonly maxSize: number;
  readonly blockSize: number;
  requested: number;
  size: number;
  /** The guest does not give up more than leaves it this. */
  keeps: number;
}

export const fakePlug = (given: Partial<FakePlug> = {}): FakePlug => ({
  id: 'vm0',
  memdev: '/objects/mem0',
  maxSize: 1024 * 2 ** 20,
  blockSize: 2 * 2 ** 20,
  requested: 0,
  size: 0,
  keeps: 0,
  ...given,
});

interface FakePort {
  readonly name: string;
  readonly filename: string;
  readonly id?: string;
}

export class FakeMachine {
  name: string | undefined = 'vm1';
  uuid = '00000000-0000-0000-0000-000000000000';
  status = 'running';
  memory = 1024 * 2 ** 20;
  /** What the guest keeps; null: it has no balloon. */
  actual: number | null = 1024 * 2 ** 20;
  /** What was last asked of the balloon; null: nothing yet. */
  target: number | null = null;
  /** Whether the guest does at once what it is asked. */
  isObedient = true;
  /** Its virtio-mem devices; the guest does what it is asked with them as with its balloon. */
  plugs: FakePlug[] = [];
  /** What is in a DIMM, which the balloon counts like `memory`. */
  dimm = 0;
  /** By the names of `guest-stats`; those that are missing are not reported. */
  stats: Readonly<Record<string, number>> = {};
  /** In seconds since 1970. */
  lastUpdate = 0;
  pollingInterval = 0;
  deflateOnOom = false;
  /** Serial ports for programs in the guest: their names, what `query-chardev` calls where they lead, and their ids, where they have any. */
  readonly ports: FakePort[] = [];
  /** Told of events, with their names. */
  emit: (name: string, data: Arguments) => void = () => undefined;

  /** Answers to commands, by name; what is not here is `CommandNotFound`. */
  readonly commands = new Map<string, Command>([
    ['query-version', () => VERSION],
    ['query-name', () => (this.name === undefined ? {} : { name: this.name })],
    ['query-uuid', () => ({ UUID: this.uuid })],
    ['query-status', () => ({ status: this.status, singlestep: false, running: this.status === 'running' })],
    ['query-balloon', () => ({ actual: this.#needBalloon() })],
    ['balloon', (args) => this.#balloon(args['value'])],
    ['query-memory-size-summary', () => ({ 'base-memory': this.memory, 'plugged-memory': 0 })],
    ['query-memory-devices', () => this.#memoryDevices()],
    ['query-chardev', () => this.#chardevs()],
    ['qom-list', (args) => this.#list(args['path'])],
    ['qom-get', (args) => this.#get(args['path'], args['property'])],
    ['qom-set', (args) => this.#set(args['path'], args['property'], args['value'])],
  ]);

  /** The guest comes to keep so much, and QEMU tells of it. */
  resize(actual: number): void {
    this.actual = actual;
    this.emit('BALLOON_CHANGE', { actual });
  }

  #needBalloon(): number {
    if (this.actual === null) throw new Refusal('DeviceNotActive', 'No balloon device has been activated');
    return this.actual;
  }

  #balloon(value: unknown): unknown {
    this.#needBalloon();
    if (typeof value !== 'number' || value <= 0) throw new Refusal('GenericError', "Parameter 'target' expects a size");
    this.target = Math.min(value, this.memory + this.dimm);
    if (this.isObedient) this.resize(this.target);
    return {};
  }

  #list(path: unknown): unknown {
    const type = { name: 'type', type: 'string' };
    if (path === '/machine') {
      return [type, ...['peripheral', 'peripheral-anon'].map((name) => ({ name, type: 'child<container>' }))];
    }
    const plugs = [...this.#plugsByPath()].filter(([where]) => where.startsWith(`${String(path)}/`));
    const named = plugs.map(([where]) => ({ name: where.split('/').at(-1), type: 'child<virtio-mem-pci>' }));
    if (path === '/machine/peripheral-anon') return [type, ...this.#portsIn(path), ...named];
    if (path === '/machine/peripheral') {
      const balloon = { name: 'balloon0', type: 'child<virtio-balloon-pci>' };
      const ports = this.#portsIn(path);
      return [type, ...(this.actual === null ? [] : [balloon]), ...ports, ...named];
    }
    if (this.#plugsByPath().has(String(path))) return [type];
    this.#needDevice(path);
    return [type, ...Object.keys(PROPERTIES).map((name) => ({ name, type: PROPERTIES[name] }))];
  }

  #portsIn(folder: string): readonly unknown[] {
    const there = this.ports.map(portPath).filter((path) => path.startsWith(`${folder}/`));
    return there.map((path) => ({ name: path.slice(folder.length + 1), type: 'child<virtserialport>' }));
  }

  #chardevs(): unknown {
    const monitor = { label: 'compat_monitor0', filename: 'unix:/run/vm.qmp,server=on', 'frontend-open': true };
    return [monitor, ...this.ports.map(({ filename }, n) => ({ label: `port${n}`, filename, 'frontend-open': false }))];
  }

  #plugsByPath(): ReadonlyMap<string, FakePlug> {
    return new Map(this.plugs.map((plug, place) => [pathOf(plug, place), plug]));
  }

  #memoryDevices(): readonly unknown[] {
    const plugs = this.plugs.map(({ id, memdev, maxSize, blockSize, requested, size }) => ({
      type: 'virtio-mem',
      data: {
        ...(id === null ? {} : { id }),
        ...{ memdev, memaddr: 2 ** 32, node: 0, size, 'max-size': maxSize },
        ...{ 'requested-size': requested, 'block-size': blockSize },
      },
    }));
    const dimm = { type: 'dimm', data: { memdev: '/objects/d0', addr: 2 ** 33, size: this.dimm, slot: 0, node: 0 } };
    return this.dimm === 0 ? plugs : [...plugs, dimm];
  }

  #plug(plug: FakePlug, path: string, value: unknown): unknown {
    if (typeof value !== 'number' || value % plug.blockSize !== 0 || value > plug.maxSize) {
      throw new Refusal('GenericError', "'requested-size' has to be multiples of 'block-size'");
    }
    plug.requested = value;
    if (this.isObedient) {
      plug.size = Math.max(value, Math.min(plug.size, plug.keeps));
      this.emit('MEMORY_DEVICE_SIZE_CHANGE', { size: plug.size, 'qom-path': path });
    }
    return {};
  }

  #get(path: unknown, property: unknown): unknown {
    const port = this.ports.map(portPath).indexOf(String(path));
    if (port >= 0 && property === 'name') return this.ports[port]?.name;
    if (port >= 0 && property === 'chardev') return `port${port}`;
    const plug = this.#plugsByPath().get(String(path));
    if (plug !== undefined && property === 'memdev') return plug.memdev;
    this.#needDevice(path);
    if (property === 'guest-stats') return { stats: { ...UNREPORTED, ...this.stats }, 'last-update': this.lastUpdate };
    if (property === 'guest-stats-polling-interval') return this.pollingInterval;
    if (property === 'deflate-on-oom') return this.deflateOnOom;
    throw new Refusal('GenericError', `Property 'virtio-balloon-pci.${String(property)}' not found`);
  }

  #set(path: unknown, property: unknown, value: unknown): unknown {
    const plug = this.#plugsByPath().get(String(path));
    if (plug !== undefined && property === 'requested-size') return this.#plug(plug, String(path), value);
    this.#needDevice(path);
    if (property !== 'guest-stats-polling-interval') throw new Refusal('GenericError', 'Insufficient permission');
    this.pollingInterval = Number(value);
    return {};
  }

  #needDevice(path: unknown): void {
    if (path === BALLOON_PATH && this.actual !== null) return;
    throw new Refusal('DeviceNotFound', `Device '${String(path)}' not found`);
  }
}

const portPath = ({ id }: FakePort, n: number): string =>
  id === undefined ? `/machine/peripheral-anon/device[${n}]` : `/machine/peripheral/${id}`;
const pathOf = ({ id }: FakePlug, place: number): string =>
  id === null ? `/machine/peripheral-anon/device[${place + 1}]` : `/machine/peripheral/${id}`;

export const VERSION = { qemu: { major: 7, minor: 2, micro: 22 }, package: 'Debian 1:7.2' };

const PROPERTIES: Readonly<Record<string, string>> = {
  'guest-stats': 'guest statistics',
  'guest-stats-polling-interval': 'int',
  'deflate-on-oom': 'bool',
};

const UNREPORTED = Object.fromEntries(
  ['swap-in', 'swap-out', 'major-faults', 'minor-faults', 'free-memory', 'total-memory', 'available-memory']
    .concat('disk-caches', 'htlb-pgalloc', 'htlb-pgfail')
    .map((name) => [`stat-${name}`, NOT_REPORTED]),
);
