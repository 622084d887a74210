/** Are there machines that only their sockets tell apart? It does not know how their names were found. */
import { warn, type Finding } from './finding.js';

export interface CalledMachine {
  /** Its monitor. */
  readonly path: string;
  /** What its guest is called. */
  readonly name: string;
}

const ADVICE =
  'Start each QEMU with a -name of its own. Until then selfballoon status shows their ids, and [guest."ID"] has limits for one alone';

/** A finding for each name that several have. */
export function checkNames(machines: readonly CalledMachine[]): readonly Finding[] {
  const paths = new Map<string, string[]>();
  for (const { path, name } of machines) paths.set(name, [...(paths.get(name) ?? []), path]);
  return [...paths].filter(([, { length }]) => length > 1).map(([name, alike]) => ofOneName(name, alike.sort()));
}

const ofOneName = (name: string, paths: readonly string[]): Finding =>
  warn(
    `${paths.length} machines are called ${name}, those at ${paths.join(' and ')}: all but the first are told apart by their sockets, and limits by that name are for all of them`,
    ADVICE,
  );
