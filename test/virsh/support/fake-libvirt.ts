/**
 * A made-up libvirt with domains, that answers in virsh's words as libvirt 9.0 does. Sizes are in KiB. Tests change its domains, what it
 * answers, and whether it answers at all.
 */

/** A virtio-mem device. */
export interface FakePlug {
  readonly alias: string;
  readonly size: number;
  readonly block: number;
  requested: number;
  current: number;
  /** Whether its guest does at once what is asked. */
  isObedient: boolean;
  /** The guest does not give up more than leaves it this. */
  keeps: number;
}

export const fakePlug = (more: Partial<FakePlug> = {}): FakePlug => ({
  ...{ alias: 'virtiomem0', size: GIB, block: 2_048, requested: 0, current: 0, isObedient: true, keeps: 0 },
  ...more,
});

export interface FakeDomain {
  readonly uuid: string;
  name: string;
  id: number;
  /** What it was started with, and what it keeps of that. */
  memory: number;
  current: number;
  /** What libvirt last heard of that; null: all of it. */
  heard: number | null;
  plugs: readonly FakePlug[];
  /** What was last asked of the balloon; null: nothing yet. */
  target: number | null;
  hasBalloon: boolean;
  autodeflate: boolean;
  period: number;
  state: number;
  /** By libvirt's names; those that are missing are not reported. */
  stats: Readonly<Record<string, number>>;
  /** In seconds since 1970; null: libvirt cannot ask its QEMU at once. */
  lastUpdate: number | null;
  /** Of the host's memory, what its QEMU has. */
  resident: number;
  /** Of its devices, besides the balloon. */
  devices: string;
  /** Answers to what would change it wait as long. */
  held: Promise<void> | null;
  /** So long its QEMU is stopped: the first question for its statistics waits, and others are answered without them. */
  stopped: Promise<void> | null;
}

const GIB = 1024 * 1024;
type Write = (text: string) => void;

export class FakeLibvirt {
  readonly domains: FakeDomain[] = [];
  /** Every command, as it came, but for `echo`. */
  readonly asked: string[] = [];
  /** Looked at before anything else: an answer of the test's own; undefined: as ever. */
  tamper: (line: string) => string | Promise<string> | undefined = () => undefined;
  readonly #listeners = new Set<Write>();
  /** Those of which somebody waits for the statistics. */
  readonly #busy = new Set<FakeDomain>();
  /** Most of them at the same time. Each keeps one of libvirtd's threads, also when who asked has gone. */
  waitingMax = 0;
  #lastId = 0;

  add(name: string, more: Partial<FakeDomain> = {}): FakeDomain {
    this.#lastId += 1;
    const domain: FakeDomain = {
      ...{ uuid: `00000000-0000-4000-8000-${String(this.#lastId).padStart(12, '0')}`, name, id: this.#lastId },
      ...{
        memory: GIB,
        current: GIB,
        heard: null,
        target: null,
        hasBalloon: true,
        autodeflate: true,
        period: 0,
        state: 1,
      },
      ...{ plugs: [], stats: {}, lastUpdate: 0, resident: 246_832, devices: '', held: null, stopped: null },
      ...more,
    };
    this.domains.push(domain);
    return domain;
  }

  /** The domain ends. */
  remove(domain: FakeDomain): void {
    this.domains.splice(this.domains.indexOf(domain), 1);
    this.emit('lifecycle', domain.name, 'Stopped Shutdown');
  }

  /** The domain ends, and begins anew. */
  restart(domain: FakeDomain): void {
    this.#lastId += 1;
    Object.assign(domain, { id: this.#lastId, current: domain.memory, target: null, period: 0, lastUpdate: 0 });
    this.emit('lifecycle', domain.name, 'Stopped Destroyed');
    this.emit('lifecycle', domain.name, 'Started Booted');
  }

  emit(event: string, domain: string, detail: string): void {
    const line = `2026-11-26 01:27:31.085+0000: event '${event}' for domain '${domain}': ${detail}\n`;
    for (const write of this.#listeners) write(line);
  }

  /** One of which there is nothing more to say. */
  emitPlain(event: string, domain: string): void {
    for (const write of this.#listeners)
      write(`2026-11-26 01:27:31.085+0000: event '${event}' for domain '${domain}'\n`);
  }

  /** Whether anybody listens to events. */
  get isHeard(): boolean {
    return this.#listeners.size > 0;
  }

  /** Carries out a line of virsh's, and writes what virsh would print. */
  async answer(line: string, write: Write, signal: AbortSignal): Promise<void> {
    if (line.startsWith('echo ')) {
      write(`${line.slice(5)}\n`);
      return;
    }
    this.asked.push(line);
    const tampered = this.tamper(line);
    if (tampered !== undefined) write(await tampered);
    else if (line.startsWith('event ')) await this.#listen(write, signal);
    else write(await this.#said(line));
  }

  #listen(write: Write, signal: AbortSignal): Promise<void> {
    this.#listeners.add(write);
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        this.#listeners.delete(write);
        resolve();
      });
    });
  }

  async #said(line: string): Promise<string> {
    const [command = '', uuid = '', ...rest] = line.split(' ');
    if (command === 'uri') return 'qemu:///fake\n\n';
    if (line === 'list --uuid --name') return `${this.domains.map((one) => `${one.uuid} ${one.name}\n`).join('')}\n`;
    if (line === 'domstats --state --balloon --list-active --nowait') return this.#stats(this.domains);
    if (line.startsWith('domstats --state --balloon --nowait ')) return this.#statsOf(line.split(' ').slice(4));
    const domain = this.domains.find((one) => one.uuid === uuid);
    if (domain === undefined) return `\nerror: failed to get domain '${uuid}'\n`;
    if (command === 'dommemstat' && rest.length === 0) {
      return domain.hasBalloon ? `actual ${domain.current}\nrss ${domain.resident}\n\n` : '\n';
    }
    if (command === 'dumpxml') return `${xmlOf(domain)}\n`;
    await domain.held;
    if (command === 'setmem' && rest[1] === '--live') return setMemory(domain, Number(rest[0]));
    if (command === 'dommemstat' && rest[0] === '--period' && rest[2] === '--live') {
      domain.period = Number(rest[1]);
      return '';
    }
    if (command === 'update-memory-device') return this.#plug(domain, rest);
    return `error: unknown command: '${command}'\n`;
  }

  #statsOf(uuids: readonly string[]): string | Promise<string> {
    const gone = uuids.find((uuid) => !this.domains.some((one) => one.uuid === uuid));
    if (gone !== undefined) return `\nerror: failed to get domain '${gone}'\n`;
    return this.#stats(this.domains.filter(({ uuid }) => uuids.includes(uuid)));
  }

  /** One domain after the other, as libvirt does. */
  async #stats(domains: readonly FakeDomain[]): Promise<string> {
    let text = '';
    for (const domain of [...domains]) {
      const isBusy = this.#busy.has(domain);
      // QEMU is asked about nothing but the balloon.
      if (domain.stopped !== null && domain.hasBalloon && !isBusy) {
        this.#busy.add(domain);
        this.waitingMax = Math.max(this.waitingMax, this.#busy.size);
        await domain.stopped;
        this.#busy.delete(domain);
      }
      text += statsText(domain, isBusy);
    }
    return text;
  }

  #plug(domain: FakeDomain, [option, alias, sizeOption, text, live]: readonly string[]): string {
    const isAsked = option === '--alias' && sizeOption === '--requested-size' && live === '--live';
    if (!isAsked || text === undefined || !/^\d+$/.test(text)) return '\nerror: invalid argument\n';
    const plug = domain.plugs.find((one) => one.alias === alias);
    if (plug === undefined) return '\nerror: no memory device found\n';
    const size = Number(text);
    if (size % plug.block !== 0) return '\nerror: requested size must be an integer multiple of block size\n';
    if (size > plug.size) return `\nerror: requested size must be smaller than or equal to @size (${plug.size}KiB)\n`;
    plug.requested = size;
    if (plug.isObedient) this.move(domain, plug, Math.max(size, Math.min(plug.current, plug.keeps)));
    return '\n';
  }

  /** The guest plugs in so much of a device, or out of it. */
  move(domain: FakeDomain, plug: FakePlug, size: number): void {
    plug.current = size;
    this.emit('memory-device-size-change', domain.name, '');
  }
}

const pluggedIn = ({ plugs }: FakeDomain): number => plugs.reduce((sum, { current }) => sum + current, 0);
const pluggableIn = ({ plugs }: FakeDomain): number => plugs.reduce((sum, { size }) => sum + size, 0);

function setMemory(domain: FakeDomain, size: number): string {
  if (!domain.hasBalloon) return '\nerror: Requested operation is not valid: Guest has no balloon\n';
  if (size > domain.memory) return '\nerror: invalid argument: cannot set memory higher than max memory\n';
  domain.target = size;
  domain.current = size;
  return '\n';
}

/** Of one that it cannot ask, libvirt says neither when its guest spoke nor what its QEMU holds. */
function statsText(domain: FakeDomain, isBusy: boolean): string {
  const { name, state, current, memory, stats, resident } = domain;
  const lastUpdate = isBusy ? null : domain.lastUpdate;
  const fields: Readonly<Record<string, number>> = {
    'state.state': state,
    'state.reason': 1,
    'balloon.current': (domain.heard ?? current) + pluggedIn(domain),
    'balloon.maximum': memory + pluggableIn(domain),
    ...(lastUpdate === null ? {} : Object.fromEntries(Object.entries(stats).map(([key, n]) => [`balloon.${key}`, n]))),
    ...(lastUpdate === null || !domain.hasBalloon ? {} : { 'balloon.last-update': lastUpdate }),
    ...(isBusy ? {} : { 'balloon.rss': resident }),
  };
  const lines = Object.entries(fields).map(([key, value]) => `  ${key}=${value}\n`);
  return `Domain: '${name}'\n${lines.join('')}\n`;
}

function xmlOf(domain: FakeDomain): string {
  const { id, name, uuid, memory, current, hasBalloon, autodeflate, period, devices } = domain;
  const stats = period === 0 ? '' : `<stats period='${period}'/>`;
  const balloon = hasBalloon
    ? `<memballoon model='virtio'${autodeflate ? " autodeflate='on'" : ''}>${stats}<alias name='balloon0'/></memballoon>`
    : "<memballoon model='none'/>";
  const escaped = name.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return [
    `<domain type='qemu' id='${id}'>`,
    `  <name>${escaped}</name>`,
    `  <uuid>${uuid}</uuid>`,
    `  <memory unit='KiB'>${memory + pluggableIn(domain)}</memory>`,
    `  <currentMemory unit='KiB'>${current + pluggedIn(domain)}</currentMemory>`,
    `  <devices>${devices}`,
    ...domain.plugs.map(plugXml),
    `    ${balloon}`,
    `  </devices>`,
    `</domain>`,
  ].join('\n');
}

function plugXml({ alias, size, block, requested, current }: FakePlug): string {
  const sizes = Object.entries({ size, block, requested, current });
  const target = sizes.map(([name, value]) => `<${name} unit='KiB'>${value}</${name}>`).join('');
  return `<memory model='virtio-mem'><target>${target}</target><alias name='${alias}'/></memory>`;
}
