/** Do two machines have an agent's port at one socket? It is then that of whichever started last. */
import { quoted } from '../../errors.js';
import { warn, type Finding } from './finding.js';

export interface PortsOf {
  /** What the machine is called. */
  readonly name: string;
  /** Where its agents' ports come out. */
  readonly paths: readonly string[];
}

const ADVICE = 'Give the chardev of each a path of its own. Until then its agent is not listened to for the others';

/** A finding for each path that several have. */
export function checkPorts(machines: readonly PortsOf[]): readonly Finding[] {
  const names = new Map<string, string[]>();
  for (const { name, paths } of machines)
    for (const path of new Set(paths)) names.set(path, [...(names.get(path) ?? []), name]);
  return [...names].filter(([, { length }]) => length > 1).map(([path, sharing]) => ofOnePath(path, sharing.sort()));
}

const ofOnePath = (path: string, names: readonly string[]): Finding =>
  warn(
    `${names.join(' and ')} have a port for an agent at the same socket, ${quoted(path)}: the QEMU that started last has taken it over`,
    ADVICE,
  );
