/** The ways of knowing of a burst that are compared: who tells of it, and how often the daemon looks. */

export interface Setting {
  /** On the command line. */
  readonly name: string;
  /** In words, for the table. */
  readonly words: string;
  /** Who is between the daemon and the guest's QEMU. */
  readonly over: 'qmp' | 'libvirt';
  /** `selfballoon agent` runs in the guest and is heard; without it there are the statistics of virtio-balloon alone. */
  readonly hasAgent: boolean;
  readonly intervalMs: number;
  /** The most that it should take from the guest's stall to the command, in ms. */
  readonly goals: { readonly p50: number; readonly p99: number };
}

const SECOND = 1_000;

/** A look finds what the guest has just said, so that a round is the most that it should take. */
const byStatistics = (seconds: number): Setting => ({
  name: `stats-${seconds}`,
  words: `statistics alone, every ${seconds} s`,
  over: 'qmp',
  hasAgent: false,
  intervalMs: seconds * SECOND,
  goals: { p50: seconds * SECOND, p99: seconds * SECOND },
});

const BY_AGENT: Setting = {
  name: 'agent',
  words: 'own agent, and a round every 5 s',
  over: 'qmp',
  hasAgent: true,
  intervalMs: 5 * SECOND,
  goals: { p50: 100, p99: 300 },
};

const overLibvirt = (setting: Setting): Setting => ({
  ...setting,
  name: `libvirt-${setting.name}`,
  words: `libvirt, ${setting.words}`,
  over: 'libvirt',
});

export const SETTINGS: readonly Setting[] = [
  BY_AGENT,
  byStatistics(1),
  byStatistics(5),
  byStatistics(10),
  overLibvirt(BY_AGENT),
  overLibvirt(byStatistics(1)),
];

/** The settings with these names, separated by commas, in the order given. Throws for a name that none has, and for none. */
export function settingsNamed(names: string): readonly Setting[] {
  return names.split(',').map((name) => {
    const found = SETTINGS.find((setting) => setting.name === name);
    if (found === undefined) throw new Error(`${JSON.stringify(name)} is not one of ${settingNames()}`);
    return found;
  });
}

export const settingNames = (): string => SETTINGS.map(({ name }) => name).join(',');
