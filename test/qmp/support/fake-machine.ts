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
  /** By the names of `guest-stats`; those that are missing are not reported. */
  stats: Readonly<Record<string, number>> = {};
  /** In seconds since 1970. */
  lastUpdate = 0;
  pollingInterval = 0;
  deflateOnOom = false;
  /** Serial ports for programs in the guest: their names, and what `query-chardev` calls where they lead. */
  readonly ports: { readonly name: string; readonly filename: string }[] = [];
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
    ['query-memory-devices', () => []],
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
    this.target = Math.min(value, this.memory);
    if (this.isObedient) this.resize(this.target);
    return {};
  }

  #list(path: unknown): unknown {
    const type = { name: 'type', type: 'string' };
    if (path === '/machine') return [type, { name: 'peripheral', type: 'child<container>' }];
    if (path === '/machine/peripheral') {
      return this.actual === null ? [type] : [type, { name: 'balloon0', type: 'child<virtio-balloon-pci>' }];
    }
    if (path === '/machine/peripheral-anon') return [type, ...this.ports.map(portAt)];
    this.#needDevice(path);
    return [type, ...Object.keys(PROPERTIES).map((name) => ({ name, type: PROPERTIES[name] }))];
  }

  #chardevs(): unknown {
    const monitor = { label: 'compat_monitor0', filename: 'unix:/run/vm.qmp,server=on', 'frontend-open': true };
    return [monitor, ...this.ports.map(({ filename }, n) => ({ label: `port${n}`, filename, 'frontend-open': false }))];
  }

  #get(path: unknown, property: unknown): unknown {
    const port = this.ports.findIndex((_, n) => path === `/machine/peripheral-anon/device[${n}]`);
    if (port >= 0 && property === 'name') return this.ports[port]?.name;
    if (port >= 0 && property === 'chardev') return `port${port}`;
    this.#needDevice(path);
    if (property === 'guest-stats') return { stats: { ...UNREPORTED, ...this.stats }, 'last-update': this.lastUpdate };
    if (property === 'guest-stats-polling-interval') return this.pollingInterval;
    if (property === 'deflate-on-oom') return this.deflateOnOom;
    throw new Refusal('GenericError', `Property 'virtio-balloon-pci.${String(property)}' not found`);
  }

  #set(path: unknown, property: unknown, value: unknown): unknown {
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

const portAt = (_: unknown, n: number): unknown => ({ name: `device[${n}]`, type: 'child<virtserialport>' });

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
